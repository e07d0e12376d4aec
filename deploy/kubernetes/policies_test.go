package kubernetes

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// pod is one end of a connection: a pod, or with an address alone something outside of
// the cluster.
type pod struct {
	namespace string
	of        map[string]string // labels of the namespace, without its name
	labels    map[string]string
	address   string
}

func outside(address string) pod { return pod{address: address} }

func (p pod) namespaceLabels() labels.Set {
	set := labels.Set{corev1.LabelMetadataName: p.namespace}
	maps.Copy(set, p.of)
	return set
}

// policies judge as the API's documentation says: a pod that no policy of a direction
// selects is free in it; otherwise one rule of one of them must fit.
type policies []*networkingv1.NetworkPolicy

// allow reports whether from may open a connection to a port of to.
func (all policies) allow(t *testing.T, from, to pod, port int32, protocol corev1.Protocol) bool {
	t.Helper()
	out, in := true, true
	if selecting := all.selecting(t, from, networkingv1.PolicyTypeEgress); len(selecting) > 0 {
		out = slices.ContainsFunc(selecting, func(p *networkingv1.NetworkPolicy) bool {
			return slices.ContainsFunc(p.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool {
				return hasPort(t, r.Ports, port, protocol) && hasPeer(t, r.To, p.Namespace, to)
			})
		})
	}
	if selecting := all.selecting(t, to, networkingv1.PolicyTypeIngress); len(selecting) > 0 {
		in = slices.ContainsFunc(selecting, func(p *networkingv1.NetworkPolicy) bool {
			return slices.ContainsFunc(p.Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
				return hasPort(t, r.Ports, port, protocol) && hasPeer(t, r.From, p.Namespace, from)
			})
		})
	}
	return out && in
}

// selecting are those that are about a pod in a direction; none are about what is outside.
func (all policies) selecting(t *testing.T, p pod, direction networkingv1.PolicyType) (list policies) {
	t.Helper()
	for _, policy := range all {
		if len(policy.Spec.PolicyTypes) == 0 || policy.Namespace == "" {
			t.Fatalf("%s leaves it to defaults what it is about", policy.Name)
		}
		if policy.Namespace == p.namespace && slices.Contains(policy.Spec.PolicyTypes, direction) && fits(t, &policy.Spec.PodSelector, p.labels) {
			list = append(list, policy)
		}
	}
	return list
}

func fits(t *testing.T, s *metav1.LabelSelector, set labels.Set) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(set)
}

func hasPort(t *testing.T, list []networkingv1.NetworkPolicyPort, port int32, protocol corev1.Protocol) bool {
	t.Helper()
	for _, p := range list {
		if p.Port == nil || p.Port.IntValue() == 0 || p.EndPort != nil {
			t.Fatalf("a port %v, which this test can't judge", p)
		}
		of := corev1.ProtocolTCP
		if p.Protocol != nil {
			of = *p.Protocol
		}
		if of == protocol && p.Port.IntValue() == int(port) {
			return true
		}
	}
	return len(list) == 0
}

func hasPeer(t *testing.T, list []networkingv1.NetworkPolicyPeer, namespace string, p pod) bool {
	t.Helper()
	for _, peer := range list {
		if peer.IPBlock != nil {
			// Of pods the address counts as well, with some CNIs: so they have one.
			if inBlock(t, peer.IPBlock, p.address) {
				return true
			}
			continue
		}
		there := p.namespace == namespace
		if peer.NamespaceSelector != nil {
			there = p.namespace != "" && fits(t, peer.NamespaceSelector, p.namespaceLabels())
		}
		if there && (peer.PodSelector == nil || fits(t, peer.PodSelector, p.labels)) {
			return true
		}
	}
	return len(list) == 0
}

func inBlock(t *testing.T, block *networkingv1.IPBlock, address string) bool {
	t.Helper()
	has := func(cidr string) bool {
		p, err := netip.ParsePrefix(cidr)
		if err != nil || p != p.Masked() {
			t.Fatalf("the network %s: %v", cidr, err)
		}
		return p.Contains(netip.MustParseAddr(address))
	}
	return has(block.CIDR) && !slices.ContainsFunc(block.Except, has)
}
