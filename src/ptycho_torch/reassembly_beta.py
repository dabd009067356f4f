"""Another path to `ptycho_torch.reassembly`."""

from ptycho_torch.reassembly import VectorizedBarycentricAccumulator as VectorizedBarycentricAccumulator
