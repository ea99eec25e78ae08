"""A branch for its readers: what it changes, as the Markdown of a pull request, and a notebook by its cells.

`span` says from which commit to which. `cells` compares notebooks, `bundles` promoted models, `settings` and `packages`
the folder environments/. `rules` finds changes of what judges a change, `verdicts` asks the policy of the base.
`markdown` makes text that names and values can't turn into anything else; `report` puts all of it together.
"""
