"""How a prior is made: simulated scans, the solver's images of them, the training of the network."""
