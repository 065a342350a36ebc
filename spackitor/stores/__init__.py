"""Where mirrors are kept. Each module is one implementation of `spackitor.mirror.Store`."""
