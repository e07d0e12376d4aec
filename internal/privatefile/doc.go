// Package privatefile opens and creates files that others must not read, or must not
// change. There are two kinds, each with one rule, which is checked on the open file.
//
// The program's own files, in its data directory for instance, are readable by their owner
// alone and named directly. Start with [Open], which refuses symbolic links and modes
// looser than 0600, and [Create], which makes a whole file appear at once or not at all.
// [Adopt] is the second half of Create, for files that something else has written.
// [Replace] puts a new content in the place of one that the caller has read.
//
// Files that somebody has brought are read with [ReadSecret] and [ReadTrusted]. Symbolic
// links are followed, since orchestrators mount files by them, and a group may read, since
// that is how they hand a file to a process that is not root. For a secret:
//
//	nobody else may read it        0600, 0400, 0640 and 0440 are accepted
//	root or this user owns it      whoever owns a file can read and change it
//
// [OpenKept] is for a secret that may be of either kind.
//
// And for what is trusted, such as root certificates or a policy: neither group nor others
// may write to it. Whoever owns it may, since configuration has owners of its own.
//
// The package knows nothing of what is in the files. It looks at the file alone: that the
// folder is not for others to change is for the caller, or whoever has made it, to see to.
// Programs that put secrets into pods do so in folders that all of the pod may write to.
package privatefile
