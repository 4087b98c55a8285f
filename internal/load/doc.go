// Package load puts a load on a box and says what came of it. The generator is
// vegeta's, and so are the numbers of its report and the encoding of its
// results; around it is what vegeta cannot know of a box:
//
//	Plan ── Run ──> vegeta's attacker ──> pinned connections ──> the box's gateway
//	                      │ a Hit each                             (and nowhere else)
//	                      v
//	                  Recorder ─┐
//	    pods, revisions         ├──> Report ──> text, JSON, one page of HTML
//	        └──────> Timeline ──┘
//
// A Hit knows when it was due, so that a load which could not keep its rate is
// never reported as one that did.
package load
