# SPDX-License-Identifier: Apache-2.0
"""Mounts the top-level folders `api/` and `migrations/` as subpackages of `alarmd`, and compiles what is compiled."""

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

MOUNTED = {"alarmd.api": "api", "alarmd.migrations": "migrations"}
COMPILED = ("alarmd.evaluators.kernel.pooling", "alarmd.evaluators.kernel.walk")

packages = find_packages(include=["alarmd", "alarmd.*"], exclude=[f"{name}*" for name in MOUNTED])
for package, folder in MOUNTED.items():
    packages += [package, *(f"{package}.{sub}" for sub in find_packages(folder))]

# Sums are the same to the last bit on every machine: nothing is contracted, and nothing made for one processor only.
extensions = [
    Extension(name, [f"{name.replace('.', '/')}.pyx"], extra_compile_args=["-O3", "-ffp-contract=off"])
    for name in COMPILED
]

setup(
    packages=packages,
    package_dir={"alarmd": "alarmd", **MOUNTED},
    include_package_data=False,
    package_data={
        "alarmd": ["py.typed"],
        "alarmd.api": ["static/**", "templates/**"],
        "alarmd.evaluators.kernel": ["*.pyi", "*.pyx"],
        "alarmd.migrations": ["script.py.mako"],
    },
    ext_modules=cythonize(extensions, build_dir="build"),
)
