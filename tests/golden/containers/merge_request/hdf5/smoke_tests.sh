#!/bin/sh
# The smoke tests of hdf5. They run in the image before it is pushed, in the SIF file before it is published, and
# whenever somebody runs 'apptainer test'.
echo 'smoke test: h5dump --version'
/bin/sh -c 'h5dump --version' < /dev/null || {
  echo 'smoke test failed: h5dump --version' >&2
  exit 1
}
echo 'smoke test: python3 -c '"'"'print("a b")'"'"''
/bin/sh -c 'python3 -c '"'"'print("a b")'"'"'' < /dev/null || {
  echo 'smoke test failed: python3 -c '"'"'print("a b")'"'"'' >&2
  exit 1
}
