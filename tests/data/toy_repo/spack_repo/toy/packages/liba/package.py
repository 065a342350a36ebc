from spack.package import *


class Liba(Package):
    """A package of the tests: compiled in no time, from nothing."""

    has_code = False

    version("1.0")

    def install(self, spec, prefix):
        mkdirp(prefix.bin)
        with open(join_path(prefix.bin, self.name), "w") as program:
            program.write(f"#!/bin/sh\necho {self.name} from {prefix}\n")
        set_executable(join_path(prefix.bin, self.name))
