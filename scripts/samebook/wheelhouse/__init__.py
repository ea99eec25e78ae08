"""The wheelhouse: the wheels of a lock, and the base image, kept in the store for the day that no index has them.

`lists` says which files a lock's are. `download` asks an index for them, and `base_image` Docker for the image.
environments/host makes an index of them, where there may be no Python yet. `shared` has the environments that checkouts
share, and `seal` finds a damaged one.
"""
