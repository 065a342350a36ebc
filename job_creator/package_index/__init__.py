"""`jc index`: what a package repository has, written down so that checks need no Spack."""
