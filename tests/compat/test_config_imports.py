"""What importing the configuration modules may load: clients import them in a process that draws windows."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "tensorflow", "keras", "lightning", "pytorch_lightning", "mlflow", "matplotlib", "h5py", "numpy")


@pytest.mark.parametrize("module", ["ptycho.config.config", "ptycho.params", "ptycho_torch.config_params"])
def test_importing_the_configuration_loads_nothing_heavy(module: str) -> None:
    """No torch and no Lightning, so no GPU is touched either."""
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["ptycho.config.to_recipe", "ptycho_torch.to_recipe", "ptycho_torch.config_factory"])
def test_translating_settings_needs_no_torch(module: str) -> None:
    code = f"import sys, {module}; print([name for name in ('torch', 'lightning', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
