"""Touch the live process and return plain numbers.

In: the objects of a running `fit`. Out: calls to the recorder, and the static parts of a `Profile`. Every probe can be
undone, and one that fails says what is not measured instead of disturbing the fit.
"""
