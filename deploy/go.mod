module jiragate/deploy

go 1.26.8

replace jiragate => ../

require (
	github.com/coreos/go-systemd/v22 v22.7.0
	github.com/elastic/go-seccomp-bpf v1.6.0
	github.com/moby/profiles/seccomp v0.3.0
	github.com/opencontainers/runtime-spec v1.3.0
	golang.org/x/sys v0.49.0
	jiragate v0.0.0
)

require golang.org/x/net v0.62.0 // indirect
