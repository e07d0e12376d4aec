package terraform_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"

	"github.com/apparentlymart/go-cidr/cidr"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

var errMissing = errors.New("no value, and no default")

// refusal is the message of a validation that failed.
type refusal string

func (r refusal) Error() string { return string(r) }

// functions are those of Terraform's that are used here, which are cty's where it has
// them. An unknown one is an error when an expression is evaluated.
// https://developer.hashicorp.com/terraform/language/functions
func functions() map[string]function.Function {
	list := map[string]function.Function{
		"can":        tryfunc.CanFunc,
		"coalesce":   stdlib.CoalesceFunc,
		"compact":    stdlib.CompactFunc,
		"concat":     stdlib.ConcatFunc,
		"contains":   stdlib.ContainsFunc,
		"distinct":   stdlib.DistinctFunc,
		"floor":      stdlib.FloorFunc,
		"join":       stdlib.JoinFunc,
		"jsonencode": stdlib.JSONEncodeFunc,
		"keys":       stdlib.KeysFunc,
		"length":     stdlib.LengthFunc,
		"merge":      stdlib.MergeFunc,
		"range":      stdlib.RangeFunc,
		"regex":      stdlib.RegexFunc,
		"replace":    stdlib.ReplaceFunc,
		"split":      stdlib.SplitFunc,
		"title":      stdlib.TitleFunc,
		"tonumber":   stdlib.MakeToFunc(cty.Number),
		"toset":      stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"tostring":   stdlib.MakeToFunc(cty.String),
		"trimprefix": stdlib.TrimPrefixFunc,
		"values":     stdlib.ValuesFunc,
		"yamlencode": ctyyaml.YAMLEncodeFunc,
		"startswith": onStrings(strings.HasPrefix),
		"endswith":   onStrings(strings.HasSuffix),
		"alltrue":    onBools(true),
		"anytrue":    onBools(false),
		"cidrhost":   cidrHost,
		"cidrsubnet": cidrSubnet,
		"base64gzip": onString(base64gzip),
		"file":       onString(file),
	}
	list["templatefile"] = templateFile(list)
	return list
}

func onStrings(f func(s, part string) bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "s", Type: cty.String}, {Name: "part", Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(f(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

// onBools is alltrue, or with all false anytrue.
func onBools(all bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			for _, v := range args[0].AsValueSlice() {
				if v.True() != all {
					return cty.BoolVal(!all), nil
				}
			}
			return cty.BoolVal(all), nil
		},
	})
}

func onString(f func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "s", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s, err := f(args[0].AsString())
			return cty.StringVal(s), err
		},
	})
}

func file(path string) (string, error) {
	text, err := os.ReadFile(path)
	return string(text), err
}

func base64gzip(s string) (string, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(s))
	err = errors.Join(err, w.Close())
	return base64.StdEncoding.EncodeToString(b.Bytes()), err
}

var cidrHost = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "host", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := network(args[0])
		if err != nil {
			return cty.NilVal, err
		}
		ip, err := cidr.HostBig(prefix, whole(args[1]))
		return cty.StringVal(ip.String()), err
	},
})

var cidrSubnet = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "bits", Type: cty.Number}, {Name: "number", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := network(args[0])
		if err != nil {
			return cty.NilVal, err
		}
		subnet, err := cidr.SubnetBig(prefix, int(whole(args[1]).Int64()), whole(args[2]))
		if err != nil {
			return cty.NilVal, err
		}
		return cty.StringVal(subnet.String()), nil
	},
})

// network takes IPv6, too, as Terraform does: that it isn't meant here is for validations to say.
func network(v cty.Value) (*net.IPNet, error) {
	_, n, err := net.ParseCIDR(v.AsString())
	return n, err
}

func whole(v cty.Value) *big.Int {
	n, _ := v.AsBigFloat().Int(nil)
	return n
}

// templateFile refuses, besides what Terraform does, a value that the template does not
// use.
func templateFile(functions map[string]function.Function) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "vars", Type: cty.DynamicPseudoType}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			path := args[0].AsString()
			source, err := os.ReadFile(path)
			if err != nil {
				return cty.NilVal, err
			}
			expr, diags := hclsyntax.ParseTemplate(source, path, hcl.InitialPos)
			if diags.HasErrors() {
				return cty.NilVal, diags
			}
			used := map[string]bool{}
			for _, traversal := range expr.Variables() {
				used[traversal.RootName()] = true
			}
			given := args[1].AsValueMap()
			for name := range given {
				if !used[name] {
					return cty.NilVal, fmt.Errorf("%s does not use %s", path, name)
				}
			}
			v, diags := expr.Value(&hcl.EvalContext{Variables: given, Functions: functions})
			if diags.HasErrors() {
				return cty.NilVal, diags
			}
			return v, nil
		},
	})
}
