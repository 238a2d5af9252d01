# SPDX-License-Identifier: Apache-2.0
"""alarmd's own dealings with Keystone: trusts, and tokens through them. Needs the extra `keystone`.

Whoever uses it imports its modules late, so that alarmd runs without the libraries where there is no Keystone. How
callers prove themselves to the API is another matter: `api/keystone.py`.
"""
