package kubernetes

import (
	"path"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

var reference = regexp.MustCompile(`\$\(([A-Za-z0-9_]+)\)`)

// environment is that of a container of the pod of that name, as the kubelet makes it:
// the maps first, then variable after variable, which may refer to those before.
func environment(t *testing.T, o *objects, c *corev1.Container, pod string) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		for name, value := range named(t, o.settings, from.ConfigMapRef.Name).Data {
			env[from.Prefix+name] = value
		}
	}
	for _, v := range c.Env {
		if v.ValueFrom == nil {
			env[v.Name] = expand(v.Value, env)
			continue
		}
		switch field := v.ValueFrom.FieldRef.FieldPath; field {
		case "metadata.name":
			env[v.Name] = pod
		case "metadata.namespace":
			env[v.Name] = o.namespaces[0].Name
		default:
			t.Fatalf("the variable %s is from %s", v.Name, field)
		}
	}
	return env
}

// expand puts variables in the place of $(NAME), in values and arguments.
func expand(text string, env map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(r string) string {
		if value, ok := env[r[2:len(r)-1]]; ok {
			return value
		}
		return r
	})
}

// fileOf is the path that a value or an argument names: by itself, as file:PATH, or
// after an equals sign.
func fileOf(value string) (string, bool) {
	if _, after, ok := strings.Cut(value, "="); ok {
		value = after
	}
	value = strings.TrimPrefix(value, "file:")
	return value, strings.HasPrefix(value, "/")
}

// Each file that a variable or an argument names is one that is mounted there.
func TestNamedFilesAreMounted(t *testing.T) {
	every(t, func(t *testing.T, region string, o *objects) {
		for _, set := range o.sets {
			for _, c := range containers(&set.Spec.Template) {
				env := environment(t, o, &c, set.Name+"-0")
				texts := c.Args
				for _, v := range env {
					texts = append(texts, v)
				}
				files := 0
				for _, text := range texts {
					if file, ok := fileOf(expand(text, env)); ok {
						files++
						isMounted(t, o, set, &c, file)
					}
				}
				if files == 0 {
					t.Errorf("%s/%s names no file", set.Name, c.Name)
				}
			}
		}
	})
}

func isMounted(t *testing.T, o *objects, set *appsv1.StatefulSet, c *corev1.Container, file string) {
	t.Helper()
	for _, m := range c.VolumeMounts {
		inside, ok := strings.CutPrefix(file, m.MountPath+"/")
		if !ok {
			continue
		}
		for _, v := range set.Spec.Template.Spec.Volumes {
			if v.Name != m.Name || v.Secret == nil {
				continue
			}
			secret := named(t, o.secrets, v.Secret.SecretName)
			if _, ok := secret.Data[inside]; !ok || !m.ReadOnly {
				t.Errorf("%s/%s: %s: the secret %s has no %s, or can be written (%v)", set.Name, c.Name, file, secret.Name, path.Base(inside), !m.ReadOnly)
			}
		}
		return
	}
	t.Errorf("%s/%s: %s is on no volume", set.Name, c.Name, file)
}

// Each gateway of all regions has a name of its own, which its audit log keeps.
func TestNodeNames(t *testing.T) {
	seen := map[string]bool{}
	for region := range regions {
		o := overlay(t, region)
		set := named(t, o.sets, "jiragate")
		for _, pod := range []string{"jiragate-0", "jiragate-1"} {
			for _, c := range containers(&set.Spec.Template) {
				node := environment(t, o, &c, pod)["JIRAGATE_NODE"]
				if want := pod + ".jiragate-" + region; node != want {
					t.Errorf("%s: %q, want %q", c.Name, node, want)
				}
				seen[node] = true
			}
		}
		if *set.Spec.Replicas != 2 {
			t.Errorf("%s: %d gateways", region, *set.Spec.Replicas)
		}
	}
	if len(seen) != 4 {
		t.Error(seen)
	}
}
