"""What a GPU makes of a program: each of its kernels beside what else there is for it, and the time of a whole step.

measure     seconds and memory of anything that runs
peaks       what a GPU can do at most
use         a kernel as a model calls it, found by watching a model's first step
kinds/      what is known of a kind of kernels: one file a kind
liger       Liger-Kernel, where it is installed
kernels     each use of a kernel, forward and backward, beside its rivals
step        whole updates of a program
"""
