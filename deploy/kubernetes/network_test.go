package kubernetes

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// cluster is both regions in one cluster, with the namespace of a service, billing.
func cluster(t *testing.T) (all policies, pods map[string]pod) {
	t.Helper()
	pods = map[string]pod{}
	client := map[string]string{"jiragate-client": "true"}
	for region := range regions {
		o := overlay(t, region)
		all = append(all, o.policies...)
		for _, set := range o.sets {
			pods[set.Name+"-"+region] = pod{namespace: "jiragate-" + region, labels: set.Spec.Template.Labels, address: "10.8.0.1"}
		}
		pods["admin-"+region] = pod{namespace: "jiragate-" + region, labels: map[string]string{"jiragate-admin": "true"}, address: "10.8.0.2"}
		pods["stranger-"+region] = pod{namespace: "jiragate-" + region, labels: client, address: "10.8.0.3"}
	}
	for _, p := range render(t, "services").policies {
		p.Namespace = "billing" // as kubectl apply -n billing does
		all = append(all, p)
	}
	monitoring := map[string]string{"jiragate-scrape": "true"}
	pods["billing"] = pod{"billing", client, client, "10.8.1.1"}
	pods["billing, unlabelled"] = pod{"billing", client, nil, "10.8.1.2"}
	pods["reports"] = pod{"reports", nil, client, "10.8.1.3"}
	pods["another database"] = pod{"databases", nil, nil, "10.8.1.4"}
	pods["prometheus"] = pod{"monitoring", monitoring, map[string]string{"app.kubernetes.io/name": "prometheus"}, "10.8.1.5"}
	pods["grafana"] = pod{"monitoring", monitoring, map[string]string{"app.kubernetes.io/name": "grafana"}, "10.8.1.6"}
	pods["dns"] = pod{"kube-system", nil, map[string]string{"k8s-app": "kube-dns"}, "10.8.2.1"}
	pods["metrics-server"] = pod{"kube-system", nil, map[string]string{"k8s-app": "metrics-server"}, "10.8.2.2"}
	pods["the provider"] = outside("203.0.113.7")
	pods["a Jira"] = outside("104.192.141.1")
	pods["metadata"] = outside("169.254.169.254")
	pods["a private network"] = outside("10.1.2.3")
	pods["another private network"] = outside("172.31.255.1")
	pods["the internet"] = outside("198.51.100.77")
	return all, pods
}

// Who may reach whom.
func TestNetwork(t *testing.T) {
	all, pods := cluster(t)
	tests := []struct {
		from, to string
		port     int32
		want     bool
	}{
		{"billing", "jiragate-us", 8443, true},
		{"billing", "jiragate-eu", 8443, true},
		{"billing", "jiragate-us", 8081, false},
		{"billing", "etcd-us", 2379, false},
		{"billing, unlabelled", "jiragate-us", 8443, false},
		{"reports", "jiragate-us", 8443, false}, // its namespace has no label
		{"stranger-us", "jiragate-us", 8443, false},
		{"the internet", "jiragate-us", 8443, false},
		{"the internet", "jiragate-us", 8081, false},

		// Services have no way to a Jira but the gateway.
		{"billing", "a Jira", 443, false},
		{"billing, unlabelled", "a Jira", 443, false},
		{"billing", "the provider", 9294, false},
		{"billing", "metadata", 80, false},
		{"billing", "another database", 5432, false},
		{"billing", "dns", 53, true},

		// The admin port.
		{"admin-us", "jiragate-us", 8081, true},
		{"admin-us", "jiragate-us", 8443, false},
		{"admin-us", "jiragate-eu", 8081, false},
		{"admin-us", "a Jira", 443, false},
		{"admin-us", "dns", 53, true},
		{"prometheus", "jiragate-us", 8081, true},
		{"prometheus", "jiragate-us", 8443, false},
		{"grafana", "jiragate-us", 8081, false},

		// The gateway goes out by the provider's proxies, and by nothing else.
		{"jiragate-us", "the provider", 9294, true},
		{"jiragate-us", "the provider", 443, false},
		{"jiragate-us", "a Jira", 443, false},
		{"jiragate-us", "a private network", 9294, false},
		{"jiragate-us", "another private network", 9294, false},
		{"jiragate-us", "metadata", 80, false},
		{"jiragate-us", "metadata", 9294, false},
		{"jiragate-us", "dns", 53, true},
		{"jiragate-us", "metrics-server", 53, false},
		{"jiragate-us", "billing", 8080, false},
		{"jiragate-us", "jiragate-eu", 8443, false},
		{"jiragate-us", "jiragate-us", 8081, false},

		// Nobody else of its namespace does.
		{"stranger-us", "a Jira", 443, false},
		{"stranger-us", "the provider", 9294, false},
		{"stranger-us", "dns", 53, false},

		{"jiragate-us", "etcd-us", 2379, true},
		{"jiragate-us", "etcd-us", 2380, false},
		{"jiragate-us", "etcd-us", 2381, false},
		{"jiragate-us", "etcd-eu", 2379, false},
		{"etcd-us", "etcd-us", 2379, true},
		{"etcd-us", "etcd-us", 2380, true},
		{"etcd-us", "etcd-eu", 2380, false},
		{"etcd-us", "jiragate-us", 8443, false},
		{"etcd-us", "a Jira", 443, false},
		{"etcd-us", "dns", 53, true},
		{"stranger-us", "etcd-us", 2379, false},
		{"admin-us", "etcd-us", 2379, false},
		{"prometheus", "etcd-us", 2379, false},
	}
	for _, test := range tests {
		protocols := []corev1.Protocol{corev1.ProtocolTCP}
		if test.port == 53 {
			protocols = append(protocols, corev1.ProtocolUDP)
		}
		from, to := pods[test.from], pods[test.to]
		if from.address == "" || to.address == "" {
			t.Fatalf("%s or %s is nothing", test.from, test.to)
		}
		for _, protocol := range protocols {
			if got := all.allow(t, from, to, test.port, protocol); got != test.want {
				t.Errorf("%s to %s, port %d %s: %v", test.from, test.to, test.port, protocol, got)
			}
		}
	}
}

// The table above can tell: without the policies that forbid, pods go where they like.
func TestNetworkIsForbiddenByPolicies(t *testing.T) {
	all, pods := cluster(t)
	var left policies
	for _, p := range all {
		if p.Name != "default-deny" && p.Name != "no-way-out" {
			left = append(left, p)
		}
	}
	for _, from := range []string{"stranger-us", "billing, unlabelled"} {
		if !left.allow(t, pods[from], pods["a Jira"], 443, corev1.ProtocolTCP) {
			t.Errorf("%s to a Jira is forbidden by another policy than that which says so", from)
		}
	}
}
