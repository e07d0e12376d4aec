package publication_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// readers read the addresses out of each format that a machine loads, as strictly
// as the program that it is made for; anything unexpected is an error.
var readers = map[string]func([]byte) ([]netip.Addr, error){
	"json":                readJSON,
	"csv":                 readCSV,
	"txt":                 readTXT,
	"nftables":            readNFTables,
	"iptables":            readIPTables,
	"nginx":               readNginx,
	"aws-security-group":  readAWS,
	"cloudflare":          readCloudflare,
	"atlassian-allowlist": readAtlassian,
}

// whole reads a range of one address.
func whole(s string) (netip.Addr, error) {
	p, err := netip.ParsePrefix(s)
	if err == nil && p.Bits() != p.Addr().BitLen() {
		err = fmt.Errorf("%s is more than an address", s)
	}
	return p.Addr(), err
}

func all(texts []string, read func(string) (netip.Addr, error)) (list []netip.Addr, err error) {
	for _, text := range texts {
		a, err := read(text)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

func strictJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("there is more than one value")
	}
	return nil
}

// readJSON reads as readers of AWS's ip-ranges.json do: two lists, all of each.
func readJSON(b []byte) ([]netip.Addr, error) {
	var v struct {
		Prefixes     []struct{ IP_Prefix string }
		IPv6Prefixes []struct{ IPv6_Prefix string } `json:"ipv6_prefixes"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	var texts []string
	for _, p := range v.Prefixes {
		texts = append(texts, p.IP_Prefix)
	}
	for _, p := range v.IPv6Prefixes {
		texts = append(texts, p.IPv6_Prefix)
	}
	return all(texts, whole)
}

func readCSV(b []byte) ([]netip.Addr, error) {
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		return nil, err
	}
	var texts []string
	for i, row := range rows {
		for _, cell := range row {
			if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r\n") {
				return nil, fmt.Errorf("the cell %q may be taken for a formula", cell)
			}
		}
		if i > 0 {
			if row[0]+"/32" != row[1] && row[0]+"/128" != row[1] {
				return nil, fmt.Errorf("%s is not %s", row[0], row[1])
			}
			texts = append(texts, row[1])
		}
	}
	return all(texts, whole)
}

// lines returns what is neither comment nor blank.
func lines(b []byte) (list []string, _ error) {
	if !bytes.HasSuffix(b, []byte("\n")) {
		return nil, fmt.Errorf("the last line has no end")
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list, nil
}

func readTXT(b []byte) ([]netip.Addr, error) {
	list, err := lines(b)
	if err != nil {
		return nil, err
	}
	return all(list, netip.ParseAddr)
}

func readNginx(b []byte) ([]netip.Addr, error) {
	list, err := lines(b)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[len(list)-1] != "deny all;" {
		return nil, fmt.Errorf("the last directive does not deny all others")
	}
	return all(list[:len(list)-1], func(s string) (netip.Addr, error) {
		s, ok := strings.CutPrefix(s, "allow ")
		s, end := strings.CutSuffix(s, ";")
		if !ok || !end {
			return netip.Addr{}, fmt.Errorf("%q is not an allow directive", s)
		}
		return netip.ParseAddr(s)
	})
}

var (
	ipv4Rule = regexp.MustCompile(`^iptables -w -A JIRAGATE-[A-Z0-9-]+ -s ([0-9.]+/32) -p tcp --dport 443 -j ACCEPT$`)
	ipv6Rule = regexp.MustCompile(`^ip6tables -w -A JIRAGATE-[A-Z0-9-]+ -s ([0-9a-f:]+/128) -p tcp --dport 443 -j ACCEPT$`)
	newChain = regexp.MustCompile(`^(ip6?tables) -w -N (JIRAGATE-[A-Z0-9-]{1,19}) 2>/dev/null \|\| (ip6?tables) -w -F (JIRAGATE-[A-Z0-9-]+)$`)
	oldChain = regexp.MustCompile(`^ip6?tables -w -F JIRAGATE-[A-Z0-9-]+ 2>/dev/null \|\| true$`)
)

func readIPTables(b []byte) ([]netip.Addr, error) {
	list, err := lines(b)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0] != "set -eu" {
		return nil, fmt.Errorf("a failing command would not end the script")
	}
	var texts []string
	for _, line := range list[1:] {
		if m := ipv4Rule.FindStringSubmatch(line); m != nil {
			texts = append(texts, m[1])
		} else if m := ipv6Rule.FindStringSubmatch(line); m != nil {
			texts = append(texts, m[1])
		} else if m := newChain.FindStringSubmatch(line); m != nil {
			if m[1] != m[3] || m[2] != m[4] {
				return nil, fmt.Errorf("%q makes and flushes two chains", line)
			}
		} else if !oldChain.MatchString(line) {
			return nil, fmt.Errorf("the command %q is unexpected", line)
		}
	}
	return all(texts, whole)
}

// nftSet is a set's definition with its elements, or without any.
var nftSet = regexp.MustCompile(`set (jiragate_[a-z0-9_]+)_v(4|6) \{ type ipv(4|6)_addr (?:elements = \{ ([0-9a-f:., ]+) \} )?\}`)

// readNFTables checks the whole text against the one form that is expected; the
// sets' elements are all that varies.
func readNFTables(b []byte) ([]netip.Addr, error) {
	list, err := lines(b)
	if err != nil {
		return nil, err
	}
	text := strings.Join(list, " ")
	sets := nftSet.FindAllStringSubmatch(text, -1)
	if len(sets) != 2 {
		return nil, fmt.Errorf("%d sets, want one a family:\n%s", len(sets), text)
	}
	name := sets[0][1]
	var texts []string
	for i, s := range sets {
		if version := []string{"4", "6"}[i]; s[1] != name || s[2] != version || s[3] != version {
			return nil, fmt.Errorf("the set %q is of the wrong name or family", s[0])
		}
		if s[4] == "" {
			continue
		}
		for element := range strings.SplitSeq(strings.TrimSuffix(s[4], ","), ", ") {
			if strings.Contains(element, ":") != (s[2] == "6") {
				return nil, fmt.Errorf("%s is in the set of IPv%s", element, s[2])
			}
			texts = append(texts, element)
		}
	}
	const form = "table inet filter { set N_v4 { type ipv4_addr; } set N_v6 { type ipv6_addr; } chain N { } } " +
		"flush chain inet filter N flush set inet filter N_v4 flush set inet filter N_v6 " +
		"table inet filter { SET4 SET6 chain N { ip saddr @N_v4 tcp dport 443 accept ip6 saddr @N_v6 tcp dport 443 accept } }"
	want := strings.NewReplacer("N_", name+"_", "chain N", "chain "+name, "filter N", "filter "+name, "@N", "@"+name,
		"SET4", sets[0][0], "SET6", sets[1][0]).Replace(form)
	want = strings.ReplaceAll(want, "inet filter N", "inet filter "+name)
	if text != want {
		return nil, fmt.Errorf("the rules are\n%s\nwant\n%s", text, want)
	}
	return all(texts, netip.ParseAddr)
}

// awsDescription is what EC2 allows (IpRange in the EC2 API reference).
var awsDescription = regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)

func readAWS(b []byte) ([]netip.Addr, error) {
	var v []struct {
		IpProtocol       string
		FromPort, ToPort int
		IpRanges         []struct{ CidrIp, Description string }
		Ipv6Ranges       []struct{ CidrIpv6, Description string }
	}
	if err := strictJSON(b, &v); err != nil {
		return nil, err
	}
	var texts, descriptions []string
	for _, p := range v {
		if p.IpProtocol != "tcp" || p.FromPort != 443 || p.ToPort != 443 || len(p.IpRanges)+len(p.Ipv6Ranges) == 0 {
			return nil, fmt.Errorf("the permission %+v is not one for HTTPS", p)
		}
		for _, r := range p.IpRanges {
			texts, descriptions = append(texts, r.CidrIp), append(descriptions, r.Description)
		}
		for _, r := range p.Ipv6Ranges {
			texts, descriptions = append(texts, r.CidrIpv6), append(descriptions, r.Description)
		}
	}
	if i := slices.IndexFunc(descriptions, func(s string) bool { return !awsDescription.MatchString(s) }); i >= 0 {
		return nil, fmt.Errorf("EC2 refuses the description %q", descriptions[i])
	}
	return all(texts, whole)
}

func readCloudflare(b []byte) ([]netip.Addr, error) {
	var v []struct{ IP, Comment string }
	if err := strictJSON(b, &v); err != nil {
		return nil, err
	}
	var texts []string
	for _, item := range v {
		texts = append(texts, item.IP)
	}
	return all(texts, netip.ParseAddr)
}

func readAtlassian(b []byte) ([]netip.Addr, error) {
	if len(b) == 0 {
		return nil, nil
	}
	return all(strings.Split(strings.TrimSuffix(string(b), "\n"), ",\n"), whole)
}
