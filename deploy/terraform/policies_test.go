package terraform_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

const keyARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// words is a string or a list of them, as policies have both.
type words []string

func (w *words) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*w = words{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(w))
}

type policy struct {
	Version   string
	Statement []struct {
		Sid, Effect      string
		Principal        map[string]words
		Action, Resource words
		Condition        map[string]map[string]string
	}
}

func readPolicy(t *testing.T, text string) policy {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	var p policy
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if p.Version != "2012-10-17" {
		t.Errorf("version %q", p.Version)
	}
	return p
}

// allowed is what the statements allow, those with this Sid or all: "ACTION on RESOURCE".
func (p policy) allowed(t *testing.T, sid string) []string {
	t.Helper()
	var list []string
	for _, s := range p.Statement {
		if s.Effect != "Allow" || sid != "" && s.Sid != sid {
			continue
		}
		for _, action := range s.Action {
			if strings.Contains(action, "*") {
				t.Errorf("%s allows %s", s.Sid, action)
			}
			for _, resource := range s.Resource {
				list = append(list, action+" on "+resource)
			}
		}
	}
	slices.Sort(list)
	return list
}

func TestRole(t *testing.T) {
	session := []string{
		"ssm:UpdateInstanceInformation on *",
		"ssmmessages:CreateControlChannel on *",
		"ssmmessages:CreateDataChannel on *",
		"ssmmessages:OpenControlChannel on *",
		"ssmmessages:OpenDataChannel on *",
	}
	m, ctx := callRegion(t, "us", least())
	got := readPolicy(t, m.made(t, ctx, "aws_iam_role_policy.gateway")[0].text("policy")).allowed(t, "")
	if want := append([]string{
		"kms:Decrypt on " + keyARN, "kms:Encrypt on " + keyARN,
		"secretsmanager:GetSecretValue on " + arn + "proxy-cert",
		"secretsmanager:GetSecretValue on " + arn + "proxy-key",
	}, session...); !slices.Equal(got, want) {
		t.Errorf("with the least:\n%s", strings.Join(got, "\n"))
	}

	m, ctx = callRegion(t, "eu", everything())
	got = readPolicy(t, m.made(t, ctx, "aws_iam_role_policy.gateway")[0].text("policy")).allowed(t, "")
	if want := append([]string{
		"kms:Decrypt on " + keyARN, "kms:Encrypt on " + keyARN,
		"s3:GetObject on arn:aws:s3:::example-releases/jiragate_1.0.0_linux_amd64.tar.gz",
		"s3:PutObject on arn:aws:s3:::example-checkpoints/eu/*",
		"secretsmanager:GetSecretValue on " + arn + "clients-ca",
		"secretsmanager:GetSecretValue on " + arn + "oauth",
		"secretsmanager:GetSecretValue on " + arn + "proxy-cert",
		"secretsmanager:GetSecretValue on " + arn + "proxy-key",
		"secretsmanager:GetSecretValue on " + arn + "webhook",
	}, session...); !slices.Equal(got, want) {
		t.Errorf("with everything:\n%s", strings.Join(got, "\n"))
	}

	trust := readPolicy(t, m.made(t, ctx, "aws_iam_role.gateway")[0].text("assume_role_policy"))
	if len(trust.Statement) != 1 || len(trust.Statement[0].Principal) != 1 || !slices.Equal(trust.Statement[0].Principal["Service"], words{"ec2.amazonaws.com"}) {
		t.Errorf("trust %+v", trust)
	}
	for address := range m.resources {
		if strings.HasPrefix(address, "aws_iam_") && !slices.Contains([]string{"aws_iam_role.gateway", "aws_iam_role_policy.gateway", "aws_iam_instance_profile.gateway"}, address) {
			t.Errorf("%s may allow more", address)
		}
	}
}

// Only the gateway uses the key; the account administers it, and can't decrypt.
func TestKey(t *testing.T) {
	m, ctx := callRegion(t, "us", least())
	key := m.made(t, ctx, "aws_kms_key.keyset")[0]
	if !key.args["enable_key_rotation"].True() || key.text("deletion_window_in_days") != "30" {
		t.Errorf("%#v", key.args)
	}
	p := readPolicy(t, key.text("policy"))
	principals := map[string]string{}
	for _, s := range p.Statement {
		principals[s.Sid] = strings.Join(s.Principal["AWS"], " ")
	}
	if want := map[string]string{
		"Administration": "arn:aws:iam::111122223333:root",
		"Gateway":        "arn:aws:iam::111122223333:role/gateway",
	}; !maps.Equal(principals, want) {
		t.Errorf("principals %v", principals)
	}
	if got := p.allowed(t, "Gateway"); !slices.Equal(got, []string{"kms:Decrypt on *", "kms:Encrypt on *"}) {
		t.Errorf("the gateway may %v", got)
	}
	administration := p.allowed(t, "Administration")
	for _, action := range []string{"Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "CreateGrant"} {
		if slices.Contains(administration, "kms:"+action+" on *") {
			t.Errorf("administrators may kms:%s", action)
		}
	}
	if !slices.Contains(administration, "kms:PutKeyPolicy on *") {
		t.Error("nobody could change the policy again: KMS refuses that")
	}
}

// Each gateway may add below its own prefix, nobody may remove, and nothing goes in
// clear.
func TestCheckpointsBucket(t *testing.T) {
	root := load(t, ".")
	call := root.modules["checkpoints"].Body
	if n := value(t, call.Attributes["count"].Expr, root.scope(t, least(), nil)); !n.RawEquals(cty.NumberIntVal(0)) {
		t.Errorf("a bucket is made unasked: %#v", n)
	}
	in := root.scope(t, everything(), nil)
	in.Variables["module"] = cty.ObjectVal(map[string]cty.Value{
		"us": obj("role_arn", "arn:aws:iam::111122223333:role/us"),
		"eu": obj("role_arn", "arn:aws:iam::111122223333:role/eu"),
	})
	given := evaluate(t, call, in).args
	delete(given, "source")
	m := load(t, "checkpoints")
	ctx := m.scope(t, given, map[string]cty.Value{
		"aws_s3_bucket.checkpoints":  obj("id", "example-checkpoints"),
		"data.aws_partition.current": obj("partition", "aws"),
	})

	if !m.made(t, ctx, "aws_s3_bucket.checkpoints")[0].args["object_lock_enabled"].True() {
		t.Error("no Object Lock")
	}
	retention := m.made(t, ctx, "aws_s3_bucket_object_lock_configuration.checkpoints")[0].blocks["rule"].blocks["default_retention"]
	if retention.text("mode") != "COMPLIANCE" || retention.text("days") != "400" {
		t.Errorf("retention %#v", retention.args)
	}
	if m.made(t, ctx, "aws_s3_bucket_versioning.checkpoints")[0].blocks["versioning_configuration"].text("status") != "Enabled" {
		t.Error("no versions")
	}
	public := m.made(t, ctx, "aws_s3_bucket_public_access_block.checkpoints")[0]
	for _, arg := range []string{"block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"} {
		if public.text(arg) != "true" {
			t.Errorf("%s is off", arg)
		}
	}
	got := map[string]string{}
	for _, s := range readPolicy(t, m.made(t, ctx, "aws_s3_bucket_policy.checkpoints")[0].text("policy")).Statement {
		got[s.Sid] = strings.Join([]string{s.Effect, strings.Join(s.Principal["AWS"], " "), strings.Join(s.Action, " "), strings.Join(s.Resource, " "), s.Condition["Bool"]["aws:SecureTransport"]}, " ")
	}
	if want := map[string]string{
		"PutUs":   "Allow arn:aws:iam::111122223333:role/us s3:PutObject arn:aws:s3:::example-checkpoints/us/* ",
		"PutEu":   "Allow arn:aws:iam::111122223333:role/eu s3:PutObject arn:aws:s3:::example-checkpoints/eu/* ",
		"OnlyTLS": "Deny * s3:* arn:aws:s3:::example-checkpoints arn:aws:s3:::example-checkpoints/* false",
	}; !maps.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
