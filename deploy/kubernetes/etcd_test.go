package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
)

// loopback is a network of this machine in which members can have the ports that they
// have in a cluster.
func loopback(t *testing.T) (members []string) {
	t.Helper()
	for range 20 {
		members = members[:0]
		network, free := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(250), 1+rand.IntN(250)), true
		for i := range 3 {
			members = append(members, fmt.Sprintf("%s%d", network, i+1))
			for _, port := range []string{"2379", "2380", "2381"} {
				l, err := net.Listen("tcp", net.JoinHostPort(members[i], port))
				if err != nil {
					free = false
					continue
				}
				_ = l.Close() // it was only asked whether it is free
			}
		}
		if free {
			return members
		}
	}
	t.Fatal("no loopback network is free for etcd")
	return nil
}

// probe asks as the kubelet does, which verifies no certificate.
func probe(address string, p *corev1.Probe) bool {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	scheme := "http"
	if p.HTTPGet.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	resp, err := client.Get(scheme + "://" + address + p.HTTPGet.Path)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the status alone counts
	return resp.StatusCode == http.StatusOK
}

// startEtcd starts the members at those addresses, by the arguments of their pods.
func startEtcd(t *testing.T, program string, o *objects, addresses []string) {
	t.Helper()
	set := named(t, o.sets, "etcd")
	for i, address := range addresses {
		m := &machine{objects: o, set: set, pod: fmt.Sprintf("etcd-%d", i), root: folder(t),
			rewrite: strings.NewReplacer(append([]string{"0.0.0.0", address}, memberNames(addresses)...)...)}
		m.mount(t)
		m.start(t, program, "etcd")
	}
	container := set.Spec.Template.Spec.Containers[0]
	for _, address := range addresses {
		for _, p := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
			eventually(t, address+" answers to "+p.HTTPGet.Path, func() bool {
				return probe(net.JoinHostPort(address, fmt.Sprint(portOf(set, p.HTTPGet.Port))), p)
			})
		}
	}
}

// memberNames are pairs of what a member is called in the cluster and here.
func memberNames(addresses []string) (pairs []string) {
	for i, address := range addresses {
		pairs = append(pairs, fmt.Sprintf("etcd-%d.etcd", i), address)
	}
	return pairs
}

// enableAuth does what README.md has etcdctl do, with the certificate of a member.
func enableAuth(t *testing.T, secrets, address string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(secrets, "etcd.crt"), filepath.Join(secrets, "etcd.key"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + address + ":2379"}, DialTimeout: patience, Logger: zap.NewNop(),
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots(t, filepath.Join(secrets, "store-ca.crt"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	add := func(user, role string) error {
		if _, err := client.UserAddWithOptions(ctx, user, "", &clientv3.UserAddOptions{NoPassword: true}); err != nil {
			return err
		}
		_, err := client.UserGrantRole(ctx, user, role)
		return err
	}
	for i, do := range []func() error{
		func() error { return add("root", "root") },
		func() error { return add("etcd", "root") },
		func() error { _, err := client.RoleAdd(ctx, "jiragate"); return err },
		func() error {
			_, err := client.RoleGrantPermission(ctx, "jiragate", "/jiragate/", clientv3.GetPrefixRangeEnd("/jiragate/"), clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { return add("gateway", "jiragate") },
		func() error { _, err := client.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			t.Fatalf("step %d of etcd's users: %v", i+1, err)
		}
	}
}

func roots(t *testing.T, files ...string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !pool.AppendCertsFromPEM(text) {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return pool
}
