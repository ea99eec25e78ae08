"""The content-addressed store: objects by SHA-256, in a local folder and in a bucket that machines share.

`objects` is the local folder store/. `remote` is the same store in S3: it pushes and pulls. `bucket` is the only caller
of S3, and `transfer` moves many objects at a time. `own_patches` knows the patches of runs on this machine.
"""
