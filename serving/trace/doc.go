// Package trace makes the spans of the two proxies of the request road.
//
//	context.go  whose trace a request belongs to: W3C's and B3's headers
//	settings.go what the box's ConfigMaps ask for
//	tracer.go   which traces are recorded, and the bounded queue of spans
//	export.go   one goroutine: spans -> zipkin.go or otlp.go -> the collector
//
// No request waits for any of it. A collector that is down, slow or talks
// nonsense costs the spans, which are counted, and nothing else.
//
// It needs the standard library only, because queue-proxy starts in every pod.
package trace
