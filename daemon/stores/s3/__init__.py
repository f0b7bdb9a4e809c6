"""A store in a bucket of S3, or of any service that speaks its protocol. It needs no extra: httpx is there anyway.

No library that is light signs requests and is kept well, and obstore, which the other clouds use, can neither upload
an object of many parts under the condition that nothing is there, nor lock it from its first moment, nor find what a
kill left of it. So these few calls are made here.

sign      Signature Version 4, pure             http      one request over httpx, its only importer here
refusal   from an answer to the error           client    signed, tried again, translated
answers   what the service's XML says, pure     upload    an object of many parts
locks     Object Lock, and the bucket's traits  open      which host has the bucket, and who signs
listing   what the bucket lists, in pages       store     the engine
"""
