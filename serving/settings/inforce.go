package settings

import "strings"

// InForceConfig is the ConfigMap in which the controller writes what it has taken
// of others, as "<name>.<key>": a mistake in one of them must not change what
// admission and the activator go by.
const InForceConfig = "devbox-in-force"

// TagHeader is the feature of config-features that lets a request's header choose
// a tag of the route.
const TagHeader = "tag-header-based-routing"

// ByTagHeader says whether it is on, by the data of InForceConfig.
func ByTagHeader(inForce map[string]string) bool {
	return strings.EqualFold(inForce["config-features."+TagHeader], "enabled")
}
