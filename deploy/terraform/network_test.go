package terraform_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// ruleArguments are all that a rule may have: no prefix list, no IPv6.
var ruleArguments = []string{"security_group_id", "description", "cidr_ipv4", "referenced_security_group_id", "ip_protocol", "from_port", "to_port"}

// rules are those of all security groups of a region, one a line.
func rules(t *testing.T, m *module, ctx *hcl.EvalContext) []string {
	t.Helper()
	var list []string
	for address, b := range m.resources {
		way := ""
		switch b.Labels[0] {
		case "aws_vpc_security_group_ingress_rule":
			way = "in"
		case "aws_vpc_security_group_egress_rule":
			way = "out"
		case "aws_security_group", "aws_default_security_group":
			if len(b.Body.Blocks) > 0 {
				t.Errorf("%s has rules of its own", address)
			}
			continue
		default:
			if strings.Contains(b.Labels[0], "security_group") || strings.Contains(b.Labels[0], "network_acl") {
				t.Errorf("%s: rules are aws_vpc_security_group_..._rule, which this test reads", address)
			}
			continue
		}
		for _, r := range m.made(t, ctx, address) {
			for arg := range r.args {
				if !slices.Contains(ruleArguments, arg) {
					t.Errorf("%s has %s", r.name, arg)
				}
			}
			list = append(list, fmt.Sprintf("%s %s %s %s %s-%s", r.text("security_group_id"), way,
				r.text("cidr_ipv4")+r.text("referenced_security_group_id"), r.text("ip_protocol"), r.text("from_port"), r.text("to_port")))
		}
	}
	slices.Sort(list)
	return list
}

// What gets in and out. In is never everybody, and the admin API not at all.
func TestSecurityGroups(t *testing.T) {
	m, ctx := callRegion(t, "us", least())
	if got, want := rules(t, m, ctx), []string{
		"sg-endpoint in sg-gateway tcp 443-443",
		"sg-gateway in 10.20.0.0/16 tcp 8443-8443",
		"sg-gateway out 0.0.0.0/0 tcp 443-443",
	}; !slices.Equal(got, want) {
		t.Errorf("with the least: %q", got)
	}
	m, ctx = callRegion(t, "eu", everything())
	if got, want := rules(t, m, ctx), []string{
		"sg-endpoint in sg-gateway tcp 443-443",
		"sg-gateway in 10.20.0.0/16 tcp 8443-8443",
		"sg-gateway in sg-0aaaabbbbccccdddd tcp 8443-8443",
		"sg-gateway out 0.0.0.0/0 tcp 443-443",
		"sg-gateway out 0.0.0.0/0 tcp 8443-8443",
		"sg-gateway out 10.30.0.0/24 tcp 4318-4318",
	}; !slices.Equal(got, want) {
		t.Errorf("with everything: %q", got)
	}
}

// AWS takes these characters in descriptions of groups and rules, and no others:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
func TestSecurityGroupDescriptions(t *testing.T) {
	allowed := regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)
	m, ctx := callRegion(t, "us", everything())
	n := 0
	for address := range m.resources {
		if !strings.Contains(address, "security_group") || strings.HasPrefix(address, "aws_default") {
			continue
		}
		for _, r := range m.made(t, ctx, address) {
			n++
			if !allowed.MatchString(r.text("description")) {
				t.Errorf("%s: AWS refuses the description %q", r.name, r.text("description"))
			}
		}
	}
	if n != 8 {
		t.Errorf("%d descriptions", n)
	}
}

// Two elastic IPs a region, or two that exist; each on one of the interface's two
// addresses.
func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		inputs map[string]cty.Value
		made   int
		locals []string
	}{
		{"allocated", least(), 2, []string{"10.0.1.10", "10.0.1.11"}},
		{"existing, in the other zone", everything(), 0, []string{"10.0.2.10", "10.0.2.11"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, ctx := callRegion(t, "us", tt.inputs)
			eips := m.made(t, ctx, "aws_eip.egress")
			if len(eips) != tt.made {
				t.Errorf("%d elastic IPs are allocated", len(eips))
			}
			for _, e := range eips {
				if e.text("domain") != "vpc" {
					t.Errorf("%s: %#v", e.name, e.args)
				}
			}
			eni := m.made(t, ctx, "aws_network_interface.gateway")[0]
			var locals []string
			for _, v := range eni.args["private_ip_list"].AsValueSlice() {
				locals = append(locals, v.AsString())
			}
			if !slices.Equal(locals, tt.locals) || !eni.args["private_ip_list_enabled"].True() {
				t.Errorf("the interface has %v", locals)
			}
			var got []string
			for _, a := range m.made(t, ctx, "aws_eip_association.egress") {
				got = append(got, a.text("allocation_id")+" "+a.text("network_interface_id")+" "+a.text("private_ip_address"))
			}
			if want := []string{"eipalloc-0 eni-0 " + tt.locals[0], "eipalloc-1 eni-0 " + tt.locals[1]}; !slices.Equal(got, want) {
				t.Errorf("associations %q", got)
			}
		})
	}
}

// No address but the elastic ones: none given by AWS, no NAT gateway, no IPv6.
func TestNoOtherWayOut(t *testing.T) {
	m, ctx := callRegion(t, "eu", everything())
	for address := range m.resources {
		for _, part := range []string{"nat_gateway", "egress_only", "autoscaling", "launch_template"} {
			if strings.Contains(address, part) {
				t.Errorf("%s", address)
			}
		}
	}
	zones := map[string]string{}
	for _, s := range m.made(t, ctx, "aws_subnet.gateway") {
		if !s.args["map_public_ip_on_launch"].False() {
			t.Errorf("%s gives out public addresses", s.name)
		}
		zones[s.text("availability_zone")] = s.text("cidr_block")
	}
	if want := map[string]string{"eu-west-1a": "10.1.1.0/24", "eu-west-1b": "10.1.2.0/24"}; !maps.Equal(zones, want) {
		t.Errorf("subnets %v", zones)
	}
	for arg := range m.made(t, ctx, "aws_vpc.gateway")[0].args {
		if strings.Contains(arg, "ipv6") {
			t.Errorf("the VPC has %s", arg)
		}
	}
}

// What customers rely on, and what cannot be made again, is not destroyed by a plan.
func TestDestroyProtection(t *testing.T) {
	protected := map[string]bool{
		"region aws_eip.egress": true, "region aws_ebs_volume.data": true, "region aws_kms_key.keyset": true,
		"checkpoints aws_s3_bucket.checkpoints": true,
	}
	for _, dir := range dirs {
		for address, b := range load(t, dir).resources {
			got := false
			for _, l := range b.Body.Blocks {
				if l.Type == "lifecycle" && l.Body.Attributes["prevent_destroy"] != nil {
					got = value(t, l.Body.Attributes["prevent_destroy"].Expr, nil).True()
				}
			}
			key := dir + " " + address
			if got != protected[key] {
				t.Errorf("%s: prevent_destroy is %t", key, got)
			}
			delete(protected, key)
		}
	}
	if len(protected) > 0 {
		t.Errorf("not there: %v", protected)
	}
}

func TestInstance(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		inputs                  map[string]cty.Value
		architecture, ami, zone string
	}{
		{"least", least(), "arm64", "ami-newest", "us-east-1a"},
		{"everything", everything(), "x86_64", "ami-0123", "us-east-1b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, ctx := callRegion(t, "us", tt.inputs)
			if parameter := m.made(t, ctx, "data.aws_ssm_parameter.ami")[0].text("name"); !strings.HasSuffix(parameter, "-"+tt.architecture) {
				t.Errorf("the image is %s", parameter)
			}
			i := m.made(t, ctx, "aws_instance.gateway")[0]
			metadata := i.blocks["metadata_options"]
			if metadata.text("http_tokens") != "required" || metadata.text("http_put_response_hop_limit") != "1" || metadata.text("http_endpoint") != "enabled" {
				t.Errorf("metadata %#v", metadata.args)
			}
			if !i.blocks["root_block_device"].args["encrypted"].True() {
				t.Error("the root volume is not encrypted")
			}
			if i.blocks["primary_network_interface"].text("network_interface_id") != "eni-0" || !i.args["user_data_replace_on_change"].True() ||
				i.text("ami") != tt.ami || i.text("key_name") != "" {
				t.Errorf("%#v", i.args)
			}
			if _, ok := i.blocks["ebs_block_device"]; ok {
				t.Error("data would be on a volume that goes with the instance")
			}
			volume := m.made(t, ctx, "aws_ebs_volume.data")[0]
			if !volume.args["encrypted"].True() || volume.text("availability_zone") != tt.zone {
				t.Errorf("volume %#v", volume.args)
			}
			attachment := m.made(t, ctx, "aws_volume_attachment.data")[0]
			if attachment.text("volume_id") != "vol-049df61146c4d7901" || attachment.text("instance_id") != "i-0" {
				t.Errorf("attachment %#v", attachment.args)
			}
		})
	}
}
