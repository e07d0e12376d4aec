package checkpoint

import "strings"

// Name returns the name of a log, and of its keys: of the gateway of a region, or of
// the node among its gateways, where node is not empty.
func Name(region, node string) string {
	name := "jiragate/" + region
	if node != "" {
		name += "/" + node
	}
	return name
}

// Node returns the node in a name that [Name] made; empty where there is none.
func Node(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return ""
	}
	return parts[2]
}

// names tells whether newer is the name of a log that was named older until it was
// given the name of a node, which happens once.
func names(older, newer string) bool {
	return Node(older) == "" && Node(newer) != "" && newer == older+"/"+Node(newer)
}

// sameLog tells whether keys of these names may be of one log.
func sameLog(a, b string) bool { return a == b || names(a, b) || names(b, a) }
