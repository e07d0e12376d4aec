package terraform_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
)

// The example is complete and of the right form, and names nothing that isn't there.
func TestExampleVariables(t *testing.T) {
	f, diags := hclparse.NewParser().ParseHCLFile("terraform.tfvars.example")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	attrs, diags := f.Body.JustAttributes()
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	inputs := map[string]cty.Value{}
	for name, a := range attrs {
		v, diags := a.Expr.Value(&hcl.EvalContext{})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		inputs[name] = v
	}
	for _, which := range []string{"us", "eu"} {
		callRegion(t, which, inputs)
		// Types drop members that they don't know, silently.
		whole := load(t, ".").scope(t, inputs, nil).Variables["var"].GetAttr(which)
		for name := range inputs[which].AsValueMap() {
			if !whole.Type().HasAttribute(name) {
				t.Errorf("%s has no %s", which, name)
			}
		}
	}
}

// The documented regions are the defaults.
func TestDefaultRegions(t *testing.T) {
	ctx := load(t, ".").scope(t, least(), nil)
	for which, want := range map[string]string{"us": "us-east-1", "eu": "eu-west-1"} {
		if got := text(ctx.Variables["var"].GetAttr(which).GetAttr("region")); got != want {
			t.Errorf("%s is in %s", which, got)
		}
	}
}

// What is refused before anything is made, and what the operator is told.
func TestRefusals(t *testing.T) {
	region := load(t, "region")
	secrets := func(oauth string) cty.Value {
		return obj("proxy_tls_cert", arn+"cert", "proxy_tls_key", arn+"key", "oauth_client_secret", oauth)
	}
	telemetry := func(endpoint, cidr string) cty.Value {
		return cty.ObjectVal(map[string]cty.Value{"endpoint": str(endpoint), "cidr": str(cidr), "port": cty.NumberIntVal(4318)})
	}
	for _, tt := range []struct {
		variable string
		given    cty.Value
		want     string // in the error; empty is taken
	}{
		{"client_cidrs", list("10.0.0.0/8", "192.168.7.0/24"), ""},
		{"client_cidrs", list("0.0.0.0/0"), "not for everybody"},
		{"client_cidrs", list("0.0.0.0/1"), "not for everybody"},
		{"client_cidrs", list("10.20.0.0"), "IPv4 networks"},
		{"client_security_group_ids", list("default"), "must be like sg-"},
		{"eip_allocation_ids", list(), ""},
		{"eip_allocation_ids", list("eipalloc-0a", "eipalloc-0b"), ""},
		{"eip_allocation_ids", list("eipalloc-0a"), "two addresses are promised"},
		{"eip_allocation_ids", list("eipalloc-0a", "eipalloc-0a"), "two addresses are promised"},
		{"eip_allocation_ids", list("52.54.159.237", "52.73.143.252"), "must be like eipalloc-"},
		{"zones", list("us-east-1a", "us-east-1a"), "two different"},
		{"gateway_zone", cty.NumberIntVal(2), "0 or 1"},
		{"vpc_cidr", str("10.0.0.0/24"), "/16"},
		{"architecture", str("x86_64"), "arm64 or amd64"},
		{"release_url", str("http://releases.example.com/jiragate"), "https://"},
		{"release_url", str("https://bucket.s3.amazonaws.com/jiragate?X-Amz-Signature=00"), "secret in the state"},
		{"release_url", str("s3://releases/$(reboot)"), "https://"},
		{"release_sha256", str("9F86"), "64 lower-case"},
		{"proxy_port", cty.NumberIntVal(8081), "admin API"},
		{"proxy_port", cty.NumberIntVal(443), "from 1024"},
		{"jira_ports", cty.TupleVal([]cty.Value{cty.NumberIntVal(8443)}), "443 among them"},
		{"oauth_client_id", str("a b"), "letters, digits"},
		{"oauth_redirect_url", str("http://jira.example.com/oauth/callback"), "https://HOST"},
		{"secrets", secrets(arn + "oauth-AbCdEf"), ""},
		{"secrets", secrets("ATOAf4k3-a-secret-itself"), "never the secrets themselves"},
		{"environment", obj("JIRAGATE_AUDIT_RETENTION", "400d", "OTEL_TRACES_SAMPLER", "always_on"), ""},
		{"environment", obj("PATH", "/tmp"), "must be JIRAGATE_... or OTEL_..."},
		{"environment", obj("JIRAGATE_LOG_LEVEL", "$(reboot)"), "dollar signs"},
		{"environment", obj("JIRAGATE_LOG_LEVEL", "info\nPATH=/tmp"), "must not have spaces"},
		{"environment", obj("JIRAGATE_ADMIN_LISTEN", "0.0.0.0:8081"), "open the admin API"},
		{"environment", obj("JIRAGATE_EGRESS", "1.2.3.4"), "what this module sets"},
		{"environment", obj("JIRAGATE_STORE", "etcd://a/jiragate"), "move the store away"},
		{"environment", obj("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x"), "must not have secrets"},
		{"environment", obj("JIRAGATE_OIDC_CLIENT_SECRET", "x"), "must not have secrets"},
		{"environment", obj("JIRAGATE_OIDC_CLIENT_SECRET_FILE", "/etc/jiragate/x"), ""},
		{"telemetry", cty.NullVal(cty.DynamicPseudoType), ""},
		{"telemetry", telemetry("https://user:pass@c:4318", "10.0.0.0/8"), "without credentials"},
		{"data_volume_gib", cty.NumberFloatVal(10.5), "whole number"},
		{"client_cidrs", list("10.20.0.0/16", "fd00::/16"), "not IPv6"},
		{"client_cidrs", list("2001:db8::/32"), "not IPv6"},
		{"vpc_cidr", str("fd00::/16"), "IPv4 network with /16"},
		{"telemetry", telemetry("https://collector.example.com", "203.0.113.0/24"), ""},
		{"telemetry", telemetry("https://[fd00::1]:4318", "fd00::/64"), "its IPv4 network"},
		{"telemetry", telemetry("https://collector.internal", "fd00::/64"), "not IPv6"},
		{"telemetry", telemetry("http://collector.internal:4318", "10.30.0.0/24"), ""},
		{"telemetry", telemetry("http://collector.internal:4318", "172.31.7.0/24"), ""},
		{"telemetry", telemetry("http://collector.internal:4318", "192.168.7.9/32"), ""},
		{"telemetry", telemetry("http://collector.example.com:4318", "203.0.113.0/24"), "in clear"},
		{"telemetry", telemetry("http://collector.example.com:4318", "172.32.0.0/16"), "in clear"},
		{"telemetry", telemetry("http://collector.example.com:4318", "192.168.0.0/15"), "in clear"},
		{"telemetry", telemetry("http://collector.example.com:4318", "10.0.0.0/7"), "in clear"},
		{"telemetry", telemetry("http://collector.example.com:4318", "0.0.0.0/0"), "in clear"},
	} {
		_, err := input(region.variables[tt.variable], tt.given)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s = %#v: %v", tt.variable, tt.given, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s = %#v: %v, want %q", tt.variable, tt.given, err, tt.want)
		}
	}
}

// State and user data are no place for secrets: what is passed in is a name of one.
func TestNoSecretIsAVariable(t *testing.T) {
	for _, dir := range dirs {
		for name, b := range load(t, dir).variables {
			for _, part := range []string{"secret", "password", "token", "private"} {
				if strings.Contains(name, part) && name != "secrets" {
					t.Errorf("%s: variable %s", dir, name)
				}
			}
			if b.Body.Attributes["sensitive"] != nil {
				t.Errorf("%s: variable %s is sensitive, and would be in the state", dir, name)
			}
		}
	}
}
