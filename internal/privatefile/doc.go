// Package privatefile opens and creates files that only their owner may read.
//
// Start with [Open], which refuses symbolic links and modes looser than 0600,
// and [Create], which makes a whole file appear at once or not at all. [Adopt]
// is the second half of Create, for files that something else has written.
// [Replace] puts a new content in the place of one that the caller has read.
//
// The package knows nothing of what is in the files. It looks at the file alone:
// that the folder belongs to the same owner is for the caller to see to.
package privatefile
