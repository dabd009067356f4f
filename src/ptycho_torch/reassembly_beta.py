"""Another path to `ptycho_torch.reassembly`."""

from ptycho_torch.reassembly import VectorizedBarycentricAccumulator as VectorizedBarycentricAccumulator
from ptycho_torch.reassembly import reconstruct_image as reconstruct_image
from ptycho_torch.reassembly import reconstruct_image_barycentric as reconstruct_image_barycentric
