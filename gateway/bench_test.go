package gateway_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"jiragate/gateway"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// BenchmarkCall compares a call through the gateway, by a kept tunnel, with the
// same call straight to the upstream: the difference is what the gateway costs,
// with identity, policy, credential, call record, metrics and traces all on.
func BenchmarkCall(b *testing.B) {
	w := newWorld(b, change{gateway: func(_ *world, o *gateway.Options) {
		o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	}})
	answer := bytes.Repeat([]byte(`{"id":"1","name":"Highest"},`), 36)
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	b.Cleanup(upstream.Close)
	w.addConnection(tokenstore.Connection{
		ID: "bench", Edition: policy.DataCenter, BaseURL: upstream.URL, Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindBasic,
		UpstreamCA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw})),
	}, tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "bench", Password: secret.New("a long enough password")})
	if err := w.store.Grant(b.Context(), "billing", "bench"); err != nil {
		b.Fatal(err)
	}
	for _, by := range []struct {
		name   string
		client *http.Client
	}{{"direct", upstream.Client()}, {"gateway", w.billing()}} {
		b.Run(by.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				response := must(by.client.Get(upstream.URL + "/rest/api/2/priority"))(b)
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != 200 {
					b.Fatal(response.Status)
				}
			}
		})
	}
}
