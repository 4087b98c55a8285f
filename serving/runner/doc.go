// Package runner turns one image into one supervised process. It knows
// nothing of Kubernetes: what a Pod's container asks for is worked out by
// whoever calls it.
//
//	Pull   registry --> layers/<digest>/fs   each layer once, however many images have it
//	                --> images/<digest>.json what the image is, so that it needs no registry again
//	Start  image + Spec --> the program, re-executed as Container --exec--> the image's entrypoint
//	                            own mounts, pids, user
//	                    --> running/<name>.json  until Process.Remove
//
// Where the kernel and the caller's rights allow, a process gets the image as
// its root (an overlay over the shared layers, its own writes in its own
// directory), its own process ids, the image's user and a container's
// capabilities. An ordinary user gets the same by a user namespace. Elsewhere
// a static binary, such as ko builds, runs directly, and an image that needs
// more is refused with the reason. The network is the machine's in both cases.
// It keeps programs apart; it is no wall against hostile ones.
//
// No process is left behind. The kernel kills them all when the program that
// started them dies, whichever way; and what that misses (there is no such
// thing on macOS) the next New ends, by process id and start time.
package runner
