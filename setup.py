# SPDX-License-Identifier: Apache-2.0
"""Mounts the top-level folders `api/` and `migrations/` as subpackages of `alarmd`."""

from setuptools import find_packages, setup

MOUNTED = {"alarmd.api": "api", "alarmd.migrations": "migrations"}

packages = find_packages(include=["alarmd", "alarmd.*"], exclude=[f"{name}*" for name in MOUNTED])
for package, folder in MOUNTED.items():
    packages += [package, *(f"{package}.{sub}" for sub in find_packages(folder))]

setup(
    packages=packages,
    package_dir={"alarmd": "alarmd", **MOUNTED},
    include_package_data=False,
    package_data={
        "alarmd": ["py.typed"],
        "alarmd.api": ["static/**", "templates/**"],
        "alarmd.migrations": ["script.py.mako"],
    },
)
