// Package build turns a main package into an image. It is the only importer
// of ko, and it keeps ko's conventions: .ko.yaml is honoured, the binary is
// /ko-app/<name>, the kodata folder beside main lies at $KO_DATA_PATH.
//
//	main package --ko--> image, layers gzipped
//	                       |  uncompress: the same tars, not gzipped
//	                       v
//	                     image --Push--> the layers the registry lacks
//
// A Builder that is to build after edits learns from each such build, in the
// background, how the compiler and the linker were called (package recipe).
// An edit of nothing but what is in Go files between their imports and their
// end then goes without ko and the go command; Way says which way it was:
//
//	edit --recipe--> program --> ko's image before it, with this program and
//	                             what is in kodata now
//	  \--anything else, with the reason in words--> ko
//
// It differs from `ko build` in what an edit loop needs. The base image is
// made here, so nothing is fetched. Layers are not compressed, so that nobody
// has to decompress them. The compiler's flags leave the build cache shared
// with a plain `go build` wherever the result allows it, and a binary carries
// no debug information, which halves the time to link it.
package build
