package gateway_test

import (
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.opentelemetry.io/otel/codes"

	"jiragate/internal/jirasim"
)

// collectorFile is the part of the OpenTelemetry Collector's settings that the shipped
// file uses. What is not here is refused as a mistake.
type collectorFile struct {
	Receivers struct {
		OTLP struct {
			Protocols struct{ GRPC, HTTP struct{ Endpoint string } }
		}
	}
	Processors struct {
		MemoryLimiter struct {
			CheckInterval string `yaml:"check_interval"`
			Limit         int    `yaml:"limit_mib"`
			Spike         int    `yaml:"spike_limit_mib"`
		} `yaml:"memory_limiter"`
		TailSampling struct {
			DecisionWait  string `yaml:"decision_wait"`
			Traces        int    `yaml:"num_traces"`
			DecisionCache struct {
				Sampled int `yaml:"sampled_cache_size"`
			} `yaml:"decision_cache"`
			Policies []tailPolicy
		} `yaml:"tail_sampling"`
		Batch struct {
			Timeout string
			Size    int `yaml:"send_batch_size"`
			MaxSize int `yaml:"send_batch_max_size"`
		}
	}
	Exporters struct {
		OTLP struct {
			Endpoint     string
			Headers      struct{ Authorization string }
			Compression  string
			SendingQueue struct {
				Size int `yaml:"queue_size"`
			} `yaml:"sending_queue"`
			Retry struct {
				MaxElapsed string `yaml:"max_elapsed_time"`
			} `yaml:"retry_on_failure"`
		} `yaml:"otlp_http"`
	}
	Service struct {
		Pipelines map[string]struct{ Receivers, Processors, Exporters []string }
	}
}

type tailPolicy struct {
	Name, Type string
	String     *struct {
		Key    string
		Values []string
		Regex  bool `yaml:"enabled_regex_matching"`
	} `yaml:"string_attribute"`
	Status *struct {
		Codes []string `yaml:"status_codes"`
	} `yaml:"status_code"`
	Latency *struct {
		Threshold int `yaml:"threshold_ms"`
	}
	Probabilistic *struct {
		Percentage float64 `yaml:"sampling_percentage"`
	}
}

// wants reports whether the policy keeps a trace, whatever its luck.
func (p tailPolicy) wants(t *testing.T, c traced) bool {
	t.Helper()
	for _, s := range c.spans {
		switch p.Type {
		case "status_code":
			if s.Status.Code == codes.Error && slices.Contains(p.Status.Codes, "ERROR") {
				return true
			}
		case "string_attribute":
			got, there := attributes(s)[p.String.Key]
			if there && slices.ContainsFunc(p.String.Values, func(want string) bool {
				return p.String.Regex && regexp.MustCompile(want).MatchString(got) || !p.String.Regex && got == want
			}) {
				return true
			}
		case "latency", "probabilistic": // a matter of time, and of luck
		default:
			t.Fatalf("policy %s is of the type %s", p.Name, p.Type)
		}
	}
	return false
}

const collectorDir = "../deploy/collector/"

var collectorVariable = regexp.MustCompile(`\$\{env:(COLLECTOR_[A-Z_]+)(:-([^}]*))?\}`)

// readCollector reads the file with the defaults of its variables.
func readCollector(t *testing.T) collectorFile {
	t.Helper()
	text := string(must(os.ReadFile(collectorDir + "otelcol.yaml"))(t))
	readme := string(must(os.ReadFile(collectorDir + "README.md"))(t))
	for _, v := range collectorVariable.FindAllStringSubmatch(text, -1) {
		if row := "| `" + v[1] + "` | "; !strings.Contains(readme, row) || v[3] != "" && !strings.Contains(readme, row+"`"+v[3]+"` |") {
			t.Errorf("README.md does not tell %s with its default %q", v[1], v[3])
		}
	}
	text = collectorVariable.ReplaceAllString(text, "$3")
	if strings.Contains(text, "${") {
		t.Error("some variable is written in a way that this test does not know")
	}
	var file collectorFile
	if err := yaml.UnmarshalWithOptions([]byte(text), &file, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	return file
}

// The shipped settings of the collector are whole: all that is defined is used, in its
// order, and only this machine can send to it.
func TestCollectorFile(t *testing.T) {
	file := readCollector(t)
	for _, endpoint := range []string{file.Receivers.OTLP.Protocols.GRPC.Endpoint, file.Receivers.OTLP.Protocols.HTTP.Endpoint} {
		host, _, err := net.SplitHostPort(endpoint)
		if addr, bad := netip.ParseAddr(host); err != nil || bad != nil || !addr.IsLoopback() {
			t.Errorf("it listens on %q", endpoint)
		}
	}
	if len(file.Service.Pipelines) != 3 {
		t.Errorf("pipelines %v", file.Service.Pipelines)
	}
	for _, signal := range []string{"traces", "metrics", "logs"} {
		processors := []string{"memory_limiter", "batch"}
		if signal == "traces" {
			processors = []string{"memory_limiter", "tail_sampling", "batch"}
		}
		p := file.Service.Pipelines[signal]
		if !slices.Equal(p.Receivers, []string{"otlp"}) || !slices.Equal(p.Processors, processors) || !slices.Equal(p.Exporters, []string{"otlp_http"}) {
			t.Errorf("%s: %+v", signal, p)
		}
	}
	sampling := file.Processors.TailSampling
	// answerTimeout, behind which no station of a call keeps it.
	if wait := must(time.ParseDuration(sampling.DecisionWait))(t); wait < 5*time.Minute {
		t.Errorf("decisions are made after %s, and calls may fail later", wait)
	}
	limiter := file.Processors.MemoryLimiter
	if sampling.Traces < 1000 || limiter.Spike <= 0 || limiter.Limit <= limiter.Spike || file.Processors.Batch.Size > file.Processors.Batch.MaxSize {
		t.Errorf("bounds %+v, %+v, %+v", sampling, limiter, file.Processors.Batch)
	}
	var slow, rest bool
	for _, p := range sampling.Policies {
		slow = slow || p.Latency != nil && p.Latency.Threshold > 0
		rest = rest || p.Probabilistic != nil && p.Probabilistic.Percentage > 0 && p.Probabilistic.Percentage < 100
	}
	if !slow || !rest {
		t.Errorf("slow calls are kept: %v; a part of the rest is: %v", slow, rest)
	}
}

// Calls that are refused or fail are always kept, by the attributes that their spans
// really have. One that succeeds is left to time and luck.
func TestCollectorKeepsWhatWasRefusedOrFailed(t *testing.T) {
	const myself = "https://acme.atlassian.net/rest/api/3/myself"
	file := readCollector(t)
	tests := []struct {
		name  string
		fault *jirasim.Fault
		url   string
		kept  []string // by which policies
	}{
		{"succeeded", nil, myself, nil},
		{"refused", nil, "https://acme.atlassian.net/rest/api/3/serverInfo", []string{"refused", "with-a-code"}},
		{"not at Jira", nil, "https://acme.atlassian.net/rest/api/3/project/NONE", []string{"failed", "failed-with-a-type"}},
		{"refused by Jira", &jirasim.Fault{Kind: jirasim.IPRefused}, myself, []string{"failed", "failed-with-a-type", "with-a-code"}},
		{"failed", &jirasim.Fault{Kind: jirasim.ResetBeforeHeaders}, myself, []string{"failed", "failed-with-a-type", "with-a-code"}},
		{"failed at Jira", &jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 500}, myself, []string{"failed", "failed-with-a-type"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, change{})
			if test.fault != nil {
				defer w.sim.Fault(*test.fault)()
			}
			r := w.call(w.billing(), "GET", test.url, "")
			call := w.traceOf(t, r.Header.Get("Traceparent"))
			var kept []string
			for _, p := range file.Processors.TailSampling.Policies {
				if p.wants(t, call) {
					kept = append(kept, p.Name)
				}
			}
			if !slices.Equal(kept, test.kept) {
				t.Errorf("%d: kept by %v, want %v", r.StatusCode, kept, test.kept)
			}
		})
	}
}
