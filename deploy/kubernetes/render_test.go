package kubernetes

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// regions are the overlays, with the addresses that customers are told of.
var regions = map[string][]string{
	"us": {"52.54.159.237", "52.73.143.252"},
	"eu": {"18.200.77.86", "99.81.30.178"},
}

// decoder takes what an API server takes, and refuses fields that are unknown or
// stand there twice.
func decoder() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme} {
		utilruntime.Must(add(scheme))
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// objects are what one kustomization renders.
type objects struct {
	namespaces []*corev1.Namespace
	settings   []*corev1.ConfigMap
	secrets    []*corev1.Secret
	accounts   []*corev1.ServiceAccount
	services   []*corev1.Service
	sets       []*appsv1.StatefulSet
	policies   []*networkingv1.NetworkPolicy
	budgets    []*policyv1.PodDisruptionBudget
}

// copied is a copy of this folder without secrets.
func copied(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "kubernetes")
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "secrets":
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(dir, path), 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, path), content, 0o700)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// place writes a file, and the folders above it.
func place(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// overlay renders that of a region, with secrets that are empty of meaning and,
// where named, further components.
func overlay(t *testing.T, region string, components ...string) *objects {
	t.Helper()
	dir := filepath.Join(copied(t), "overlays", region)
	var k types.Kustomization
	read(t, filepath.Join(dir, "kustomization.yaml"), &k)
	for _, s := range k.SecretGenerator {
		for _, source := range s.FileSources {
			_, file, _ := strings.Cut(source, "=")
			place(t, filepath.Join(dir, file), "not a secret\n")
		}
	}
	for _, c := range components {
		k.Components = append(k.Components, "../../components/"+c)
	}
	text, err := yaml.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	place(t, filepath.Join(dir, "kustomization.yaml"), string(text))
	return render(t, dir)
}

// read reads YAML strictly.
func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// render is kubectl apply -k as far as the decoding by the API server.
func render(t *testing.T, dir string) *objects {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	o, decoder := &objects{}, decoder()
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", r.CurId(), err)
		}
		switch object := object.(type) {
		case *corev1.Namespace:
			o.namespaces = append(o.namespaces, object)
		case *corev1.ConfigMap:
			o.settings = append(o.settings, object)
		case *corev1.Secret:
			o.secrets = append(o.secrets, object)
		case *corev1.ServiceAccount:
			o.accounts = append(o.accounts, object)
		case *corev1.Service:
			o.services = append(o.services, object)
		case *appsv1.StatefulSet:
			o.sets = append(o.sets, object)
		case *networkingv1.NetworkPolicy:
			o.policies = append(o.policies, object)
		case *policyv1.PodDisruptionBudget:
			o.budgets = append(o.budgets, object)
		default:
			t.Fatalf("%s: no test looks at a %T", r.CurId(), object)
		}
	}
	return o
}

// named is the object of that name, of which kustomize's hash counts as no part.
func named[T interface{ GetName() string }](t *testing.T, list []T, name string) T {
	t.Helper()
	for _, o := range list {
		if o.GetName() == name || strings.HasPrefix(o.GetName(), name+"-") && len(o.GetName()) == len(name)+11 {
			return o
		}
	}
	t.Fatalf("there is no %s among %d", name, len(list))
	panic("not reached")
}

// every calls f for each overlay, and for each with all components that are optional.
func every(t *testing.T, f func(t *testing.T, region string, o *objects)) {
	for region := range regions {
		t.Run(region, func(t *testing.T) { f(t, region, overlay(t, region)) })
		t.Run(region+" with a seccomp profile", func(t *testing.T) { f(t, region, overlay(t, region, "seccomp")) })
	}
}

// Each file is what its kind says, before kustomize puts it together with others
// and drops what it doesn't know or what stands there twice.
func TestSourcesAreStrict(t *testing.T) {
	decoder, files := decoder(), 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		files++
		if filepath.Base(path) == "kustomization.yaml" {
			var k types.Kustomization
			read(t, path, &k)
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			if _, _, err := decoder.Decode([]byte(document), nil, nil); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Errorf("%d files, %v", files, err)
	}
}

// A secret is made from files that nobody can commit by accident, and stands in no
// file of this folder.
func TestNoSecretsHere(t *testing.T) {
	ignored, err := os.ReadFile(".gitignore")
	if err != nil || !slices.Contains(strings.Split(string(ignored), "\n"), "/overlays/*/secrets/") {
		t.Errorf(".gitignore: %v\n%s", err, ignored)
	}
	for region := range regions {
		var k types.Kustomization
		read(t, filepath.Join("overlays", region, "kustomization.yaml"), &k)
		for _, s := range k.SecretGenerator {
			if len(s.LiteralSources)+len(s.EnvSources) > 0 || s.EnvSource != "" {
				t.Errorf("%s: %s is not from files", region, s.Name)
			}
			for _, source := range s.FileSources {
				if _, file, _ := strings.Cut(source, "="); !strings.HasPrefix(file, "secrets/") {
					t.Errorf("%s: %s is from %s, which git does not ignore", region, s.Name, file)
				}
			}
		}
	}
	err = filepath.WalkDir(copied(t), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "PRIVATE"+" KEY-----") || filepath.Ext(path) == ".yaml" && strings.Contains(string(text), "kind: Secret\n") {
			t.Errorf("%s has a secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
