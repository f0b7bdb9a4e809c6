"""A store in a bucket of Google's or a container of Azure's; the library is the extra `gs` or `az`.

open      who signs, and at which host      trouble   what obstore raises, as our errors
store     the engine, over any store of obstore's
"""
