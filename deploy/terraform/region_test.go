package terraform_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

const arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:"

func str(s string) cty.Value { return cty.StringVal(s) }

func list(words ...string) cty.Value {
	var values []cty.Value
	for _, w := range words {
		values = append(values, str(w))
	}
	return cty.TupleVal(values)
}

func obj(pairs ...string) cty.Value {
	m := map[string]cty.Value{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = str(pairs[i+1])
	}
	return cty.ObjectVal(m)
}

// least is what an operator must say, to the root module.
func least() map[string]cty.Value {
	region := cty.ObjectVal(map[string]cty.Value{
		"client_cidrs": list("10.20.0.0/16"),
		"secrets":      obj("proxy_tls_cert", arn+"proxy-cert", "proxy_tls_key", arn+"proxy-key"),
	})
	return map[string]cty.Value{
		"us":             region,
		"eu":             region,
		"release_url":    str("https://releases.example.com/jiragate_1.0.0_linux_arm64"),
		"release_sha256": str("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
	}
}

// everything sets each thing that may be set, besides.
func everything() map[string]cty.Value {
	all := least()
	region := all["us"].AsValueMap()
	region["client_security_group_ids"] = list("sg-0aaaabbbbccccdddd")
	region["eip_allocation_ids"] = list("eipalloc-0aaa", "eipalloc-0bbb")
	region["gateway_zone"] = cty.NumberIntVal(1)
	region["data_snapshot_id"] = str("snap-0123")
	region["ami"] = str("ami-0123")
	region["oauth_redirect_url"] = str("https://jira.example.com/oauth/callback")
	region["telemetry"] = cty.ObjectVal(map[string]cty.Value{
		"endpoint": str("https://collector.internal:4318"), "cidr": str("10.30.0.0/24"), "port": cty.NumberIntVal(4318)})
	region["secrets"] = obj("proxy_tls_cert", arn+"proxy-cert", "proxy_tls_key", arn+"proxy-key",
		"proxy_client_ca", arn+"clients-ca", "oauth_client_secret", arn+"oauth", "webhook_secret", arn+"webhook")
	all["us"], all["eu"] = cty.ObjectVal(region), cty.ObjectVal(region)
	all["architecture"], all["instance_type"] = str("amd64"), str("m7i.large")
	all["release_url"] = str("s3://example-releases/jiragate_1.0.0_linux_amd64.tar.gz")
	all["jira_ports"] = cty.TupleVal([]cty.Value{cty.NumberIntVal(443), cty.NumberIntVal(8443)})
	all["oauth_client_id"] = str("abcdefGHIJ")
	all["environment"] = obj("JIRAGATE_WEBHOOK_URL", "https://product.internal/hooks/jiragate", "JIRAGATE_AUDIT_RETENTION", "400d")
	all["checkpoints"] = obj("bucket", "example-checkpoints")
	return all
}

// publicIPs are what AWS could have given: the documented addresses.
var publicIPs = map[string][]string{
	"us": {"52.54.159.237", "52.73.143.252"},
	"eu": {"18.200.77.86", "99.81.30.178"},
}

// callRegion evaluates a region of the root, "us" or "eu": with the inputs that the root
// passes on, and what AWS could answer.
func callRegion(t *testing.T, which string, inputs map[string]cty.Value) (*module, *hcl.EvalContext) {
	t.Helper()
	root := load(t, ".")
	given := evaluate(t, root.modules[which].Body, root.scope(t, inputs, nil)).args
	delete(given, "source")

	var made, existing []cty.Value
	for i, ip := range publicIPs[which] {
		id := fmt.Sprintf("eipalloc-%d", i)
		if given["eip_allocation_ids"].LengthInt() == 0 {
			made = append(made, obj("allocation_id", id, "public_ip", ip))
		} else {
			existing = append(existing, obj("id", id, "public_ip", ip))
		}
	}
	m := load(t, "region")
	return m, m.scope(t, given, map[string]cty.Value{
		"aws_eip.egress":                   cty.TupleVal(made),
		"data.aws_eip.existing":            cty.TupleVal(existing),
		"aws_vpc.gateway":                  obj("id", "vpc-0", "cidr_block", "10.0.0.0/16"),
		"aws_subnet.gateway":               cty.TupleVal([]cty.Value{obj("id", "subnet-0"), obj("id", "subnet-1")}),
		"aws_route_table.gateway":          obj("id", "rtb-0"),
		"aws_internet_gateway.gateway":     obj("id", "igw-0"),
		"aws_security_group.gateway":       obj("id", "sg-gateway"),
		"aws_security_group.endpoint":      obj("id", "sg-endpoint"),
		"aws_network_interface.gateway":    obj("id", "eni-0"),
		"aws_kms_key.keyset":               obj("arn", keyARN, "key_id", "1234abcd"),
		"aws_iam_role.gateway":             obj("arn", "arn:aws:iam::111122223333:role/gateway", "id", "gateway", "name", "gateway"),
		"aws_iam_instance_profile.gateway": obj("name", "gateway"),
		"aws_ebs_volume.data":              obj("id", "vol-049df61146c4d7901"),
		"aws_instance.gateway":             obj("id", "i-0"),
		"data.aws_caller_identity.current": obj("account_id", "111122223333"),
		"data.aws_partition.current":       obj("partition", "aws"),
		"data.aws_region.current":          obj("region", "us-east-1"),
		"data.aws_ssm_parameter.ami":       obj("insecure_value", "ami-newest"),
	})
}
