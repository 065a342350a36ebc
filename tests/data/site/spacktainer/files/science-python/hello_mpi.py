"""Says hello from every MPI rank: mpiexec -n 4 python /opt/examples/hello_mpi.py."""

from mpi4py import MPI

print(f"hello from rank {MPI.COMM_WORLD.Get_rank()} of {MPI.COMM_WORLD.Get_size()}")
