"""One module per outside world. Nothing else talks to the network, to git or to other processes."""
