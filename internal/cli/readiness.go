package cli

import (
	"time"

	"jiragate/gateway/admin"
)

// meanings say of each check of /readyz what it means that it fails, for strangers
// too, and what to do about it.
var meanings = map[string]struct{ reason, hint, degraded string }{
	"store": {"the store can't be read", "look at the disk of the data directory, or at etcd's members (etcdctl endpoint health); then jiragate store check",
		"the store is away: calls go on with what is known of it, and nothing is refreshed or changed"},
	"audit":           {"call records can't be written, so calls are refused", "free the disk of the data directory or make it writable; the gateway goes on by itself", ""},
	"egress":          {"calls can leave from no egress address", "jiragate egress list says which fails and why: see that an interface has it, or ask the proxy's provider", ""},
	"policy":          {"no policy is loaded", "jiragate policy check, then start the gateway again", ""},
	"memory":          {"memory is short, so new calls are refused", "raise JIRAGATE_MEMORY_LIMIT, or let clients send less; the gateway goes on by itself", ""},
	"proxy":           {"the gateway is shutting down", "send calls to another gateway, or wait until this one has started again", ""},
	"egress_verified": {"calls come from another address than the published one", "jiragate egress verify says from which; mend the route, NAT or provider's proxy, or publish the address", ""},
}

// tellState gives the admin API what it tells of how it stands with the gateway.
func (s *Server) tellState(o *admin.Options) {
	o.Checks = s.checks()
	for i := range o.Checks {
		m := meanings[o.Checks[i].Name]
		o.Checks[i].Reason, o.Checks[i].Hint = m.reason, m.hint
		o.Checks[i].Degraded = m.degraded
	}
	o.Started = time.Now()
	o.Load = func() admin.Load {
		calls, tunnels := s.engine.gateway.Load()
		return admin.Load{Calls: calls, Tunnels: tunnels}
	}
	o.Warnings = func() []admin.Warning {
		list := []admin.Warning{}
		for _, w := range s.warnings(time.Now()) {
			list = append(list, w.Warning)
		}
		return list
	}
	o.LastReload = s.reloads.last.Load
}
