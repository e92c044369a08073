"""One gateway for many sites: an index of all of them, and each site below ``/s/NAME/``.

Each site has an application of its own, as if it were served alone: its people, keys, cookies and
counts are those of its database. Nothing of a site is loaded but what its database says.
"""
