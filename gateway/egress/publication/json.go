package publication

import (
	"bytes"
	"encoding/json"

	"jiragate/gateway/egress/register"
	"jiragate/policy"
)

// service is what the addresses are used for, where AWS's list names a service.
const service = "JIRAGATE"

// jsonDocument is the whole document, with the names of AWS's ip-ranges.json
// (docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html) and its two lists,
// so that programs that read that file read this one. Such programs take every
// prefix that they find, hence none is retired. createDate is RFC 3339, where AWS
// has a form of its own.
type jsonDocument struct {
	SyncToken    string             `json:"syncToken"`
	CreateDate   string             `json:"createDate"`
	Region       string             `json:"region"`
	Pinned       bool               `json:"pinned"` // false: no address is in use, calls may come from any
	Prefixes     []jsonPrefix       `json:"prefixes"`
	IPv6Prefixes []jsonPrefix       `json:"ipv6_prefixes"`
	History      []register.Change  `json:"history"`
	Policy       policyName         `json:"policy"`
	Operations   []policy.Operation `json:"operations"`
}

type jsonPrefix struct {
	IPPrefix   string         `json:"ip_prefix,omitempty"`
	IPv6Prefix string         `json:"ipv6_prefix,omitempty"`
	Region     string         `json:"region"`
	Service    string         `json:"service"`
	State      register.State `json:"state"`
	From       string         `json:"from"`
	Until      string         `json:"until,omitempty"` // absent: no end is known
}

type policyName struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

func (c *content) json(b *bytes.Buffer) error {
	d := jsonDocument{
		SyncToken: c.SyncToken, CreateDate: stamp(c.Created), Region: c.Region, Pinned: c.pinned(),
		Prefixes: []jsonPrefix{}, IPv6Prefixes: []jsonPrefix{}, History: []register.Change{},
		Policy: policyName{c.Policy.Version(), c.Policy.SHA256()}, Operations: c.Policy.Operations(),
	}
	for _, a := range c.Listed {
		p := jsonPrefix{Region: c.Region, Service: service, State: a.State, From: stamp(a.From)}
		if !a.Until.IsZero() {
			p.Until = stamp(a.Until)
		}
		if a.Address.Is4() {
			p.IPPrefix = a.prefix().String()
			d.Prefixes = append(d.Prefixes, p)
		} else {
			p.IPv6Prefix = a.prefix().String()
			d.IPv6Prefixes = append(d.IPv6Prefixes, p)
		}
	}
	for _, h := range c.History {
		h.Announced, h.Effective = h.Announced.UTC().Truncate(1e9), h.Effective.UTC().Truncate(1e9)
		d.History = append(d.History, h)
	}
	return indented(b, d)
}

// ipPermission is an element of what `aws ec2 authorize-security-group-ingress
// --ip-permissions` takes (IpPermission in the EC2 API reference).
type ipPermission struct {
	IPProtocol string      `json:"IpProtocol"`
	FromPort   int         `json:"FromPort"`
	ToPort     int         `json:"ToPort"`
	IPRanges   []ipRange   `json:"IpRanges,omitempty"`
	IPv6Ranges []ipv6Range `json:"Ipv6Ranges,omitempty"`
}

// A description has at most 255 of the characters a-z, A-Z, 0-9, space and
// ._-:/()#,@[]+=&;{}!$* (IpRange in the EC2 API reference).
type ipRange struct {
	CIDR        string `json:"CidrIp"`
	Description string `json:"Description"`
}

type ipv6Range struct {
	CIDR        string `json:"CidrIpv6"`
	Description string `json:"Description"`
}

// awsSecurityGroup writes one permission, or an empty list where no address is
// listed: EC2 refuses a permission without a range.
func (c *content) awsSecurityGroup(b *bytes.Buffer) error {
	permissions := []ipPermission{}
	if len(c.Listed) > 0 {
		p := ipPermission{IPProtocol: "tcp", FromPort: port, ToPort: port}
		for _, a := range c.Listed {
			if a.Address.Is4() {
				p.IPRanges = append(p.IPRanges, ipRange{a.prefix().String(), c.label(a)})
			} else {
				p.IPv6Ranges = append(p.IPv6Ranges, ipv6Range{a.prefix().String(), c.label(a)})
			}
		}
		permissions = append(permissions, p)
	}
	return indented(b, permissions)
}

// cloudflareItem is an item of an IP list
// (developers.cloudflare.com/waf/tools/lists/lists-api).
type cloudflareItem struct {
	IP      string `json:"ip"`
	Comment string `json:"comment"`
}

func (c *content) cloudflare(b *bytes.Buffer) error {
	items := []cloudflareItem{}
	for _, a := range c.Listed {
		items = append(items, cloudflareItem{a.Address.String(), c.label(a)})
	}
	return indented(b, items)
}

// label describes the address where it stands among others' addresses.
func (c *content) label(a Address) string { return "jiragate " + c.Region + " egress: " + a.remark() }

func indented(b *bytes.Buffer, v any) error {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
