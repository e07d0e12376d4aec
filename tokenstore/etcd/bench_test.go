package etcd_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/internal/etcdlab"
	"jiragate/tokenstore"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// realistic is a credential with tokens as long as Atlassian's.
func realistic(i int) tokenstore.Credential {
	c := storetest.OAuth2(fmt.Sprint(i))
	c.AccessToken = secret.New(strings.Repeat("a", 1400) + fmt.Sprint(i))
	c.RefreshToken = secret.New(strings.Repeat("r", 700) + fmt.Sprint(i))
	return c
}

// filled is a store with connections, in a cluster whose members wait for their disks.
func filled(b *testing.B, connections int) (*site, etcd.Options, *etcd.Store) {
	b.Helper()
	site := &site{Cluster: etcdlab.Start(b, etcdlab.Options{Auth: true})}
	o := site.options(b)
	s := mustOpen(b, o)
	for from := 0; from < connections; from += 15 {
		var entries []records.Entry
		for i := from; i < min(from+15, connections); i++ {
			entries = append(entries, records.Entry{Connection: storetest.CloudConnection(id(i)), Credential: realistic(i)})
		}
		if err := s.AddAll(b.Context(), entries, nil); err != nil {
			b.Fatal(err)
		}
	}
	return site, o, s
}

func id(i int) string { return fmt.Sprintf("customer-%06d", i) }

// BenchmarkRefresh is what a refresh costs in etcd: the claim, and the new pair. dbbytes is by how
// much the database of a member grows for each, until it is compacted.
func BenchmarkRefresh(b *testing.B) {
	site, _, s := filled(b, 1024)
	root := site.Root(b)
	size := func() int64 {
		status, err := root.Status(b.Context(), site.Members()[0].Endpoint())
		if err != nil {
			b.Fatal(err)
		}
		return status.DbSizeInUse
	}
	for _, parallel := range []int{1, 16} {
		b.Run(fmt.Sprint("parallel=", parallel), func(b *testing.B) {
			before := size()
			var next atomic.Int64
			b.SetParallelism(max(1, parallel/2))
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					connection := id(int(next.Add(1) % 1024))
					c, err := s.Credential(b.Context(), connection)
					if err != nil {
						b.Error(err)
						return
					}
					claim, err := s.BeginRotation(b.Context(), connection, c.Generation)
					if err == nil {
						err = s.FinishRotation(b.Context(), claim, realistic(int(c.Generation)))
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(size()-before)/float64(b.N), "dbbytes/op")
		})
	}
}

// BenchmarkCredentialMiss reads a credential that isn't remembered.
func BenchmarkCredentialMiss(b *testing.B) {
	_, _, s := filled(b, 1024)
	for i := 0; b.Loop(); i++ {
		c := id(i % 1024)
		s.Changing(c) // which forgets it
		s.Changed(c)
		if _, err := s.Credential(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSeen is how long it takes until another gateway sees a change.
func BenchmarkSeen(b *testing.B) {
	_, o, s := filled(b, 1)
	other := mustOpen(b, o)
	if err := s.AddClient(b.Context(), tokenstore.Client{Name: "billing", TokenSHA256: storetest.Token("t")}); err != nil {
		b.Fatal(err)
	}
	var took time.Duration
	for b.Loop() {
		if err := s.Grant(b.Context(), "billing", id(0)); err != nil {
			b.Fatal(err)
		}
		done := time.Now()
		for {
			if c, ok := other.Directory().Client("billing"); ok && len(c.Connections) == 1 {
				break
			}
			time.Sleep(50 * time.Microsecond)
		}
		took += time.Since(done)
		if err := s.Revoke(b.Context(), "billing", id(0)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(took.Microseconds())/float64(b.N), "µs-behind/op")
}

// BenchmarkStored is how much a connection takes in etcd.
func BenchmarkStored(b *testing.B) {
	const connections = 1020
	for b.Loop() {
		site, o, _ := filled(b, connections)
		resp, err := site.Client(b).Get(b.Context(), o.Prefix, clientv3.WithPrefix())
		if err != nil {
			b.Fatal(err)
		}
		bytes := 0
		for _, kv := range resp.Kvs {
			bytes += len(kv.Key) + len(kv.Value)
		}
		status, err := site.Root(b).Status(b.Context(), site.Members()[0].Endpoint())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(bytes)/connections, "bytes/connection")
		b.ReportMetric(float64(status.DbSizeInUse)/connections, "dbbytes/connection")
	}
}

// BenchmarkOpen is the start of a gateway: it reads all that is live.
func BenchmarkOpen(b *testing.B) {
	const connections = 20_000
	_, o, _ := filled(b, connections)
	for b.Loop() {
		s, err := etcd.Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		if n := len(s.Directory().Connections()); n != connections {
			b.Fatalf("%d connections", n)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
