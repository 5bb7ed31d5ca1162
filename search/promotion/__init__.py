"""From a study to a model that is trusted: the gate, the package, the registry.

Whoever opens packages loads no more of this than `package`: a server's workers hold nothing that they don't need.
"""
