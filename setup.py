"""What pyproject.toml cannot say: a wheel has the default config, which a clone has beside the Snakefile."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

#: Where it is in a clone, and where the wheel has it.
CONFIG, PACKAGED = "config.yaml", Path("metalqr", "config", "default.yaml")


class BuildWithConfig(build_py):
    """Copies the default config into the package."""

    def run(self) -> None:
        """Copy it beside the modules; an editable installation reads that of its clone."""
        super().run()
        if not self.editable_mode:
            shutil.copyfile(CONFIG, Path(self.build_lib, PACKAGED))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Name it among the files of the build."""
        outputs: list[str] = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, str(Path(self.build_lib, PACKAGED))]


setup(cmdclass={"build_py": BuildWithConfig})
