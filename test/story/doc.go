// Package story plays docs/story.md. The page is the script: every line that
// begins with "$ " in a block of console is run, in order, from the root of
// the checkout, and has to succeed; what a comment after a block expects has
// to be in what the block printed.
//
//	docs/story.md --> commands --> bash --> what they print
//	      ^                                     |
//	      \-- DEVBOX_STORY=write ---------------/
//
// With DEVBOX_STORY=write the page gets what the commands printed, so that its
// transcripts are never anybody's memory. DEVBOX_STORY_LOAD shortens the load
// for a machine with less time.
//
// The README's first command has a test of its own, on the embedded engine, which
// saves files as a person does and keeps what a terminal shows.
package story
