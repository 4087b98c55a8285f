// Package build turns a main package into an image. It is the only importer
// of ko, and it keeps ko's conventions: .ko.yaml is honoured, the binary is
// /ko-app/<name>, the kodata folder beside main lies at $KO_DATA_PATH.
//
//	main package --ko--> image, layers gzipped
//	                       |  uncompress: the same tars, not gzipped
//	                       v
//	                     image --Push--> the layers the registry lacks
//
// It differs from `ko build` in what an edit loop needs. The base image is
// made here, so nothing is fetched. Layers are not compressed, so that nobody
// has to decompress them. The compiler's flags leave the build cache shared
// with a plain `go build` wherever the result allows it, and a binary carries
// no debug information, which halves the time to link it.
package build
