"""launch/kubernetes: every object against Kubernetes' own schemas, and every command, path and name against what is there.

kubernetes/run_pods.py runs the pods themselves. Needs kubectl on the PATH or unpacked by run_pods.py, else it skips.
"""
import copy
import json
import pathlib
import re
import sys
import unittest

import jsonschema
import kubernetes_validate
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "kubernetes"))
from harness import ROOT  # noqa: E402
from manifests import FOLDER, render  # noqa: E402
from operator_stand_in import host_templates, launcher_template  # noqa: E402
from pods import IMAGE_ROOT, expand  # noqa: E402

OVERLAYS = ("base", "quickstart", "h100")
VERSIONS = ("1.25", "1.31", "1.37")
SCHEMA = json.loads((pathlib.Path(__file__).parent / "kubernetes/mpijob.schema.json").read_text())
OBJECTS = {overlay: render(FOLDER / overlay) for overlay in OVERLAYS}
CLAIM = list(yaml.safe_load_all((FOLDER / "claim.yaml").read_text()))
# Below these the keys are the user's own.
FREE = {"data", "labels", "annotations", "matchLabels", "selector", "requests", "limits"}
needs_kubectl = unittest.skipUnless(all(OBJECTS.values()), "no kubectl: launch/test.sh fetches it from Debian")


def check(thing, version="1.31"):
    """Raises what is wrong with an object."""
    if thing["kind"] != "MPIJob":
        kubernetes_validate.validate(thing, version, strict=True)
        return
    jsonschema.validate(thing, SCHEMA)
    for name, spec in thing["spec"]["mpiReplicaSpecs"].items():
        wrapped = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name.lower()}, "template": spec["template"]}
        kubernetes_validate.validate(wrapped, version, strict=True)


def is_refused(thing):
    try:
        check(thing)
    except (kubernetes_validate.ValidationError, jsonschema.ValidationError,
            kubernetes_validate.SchemaNotFoundError, KeyError):  # no such kind, no kind
        return True
    return False


def keys_of(node, path=()):
    """The path of every key that has a meaning of its own."""
    if isinstance(node, list):
        for i, child in enumerate(node):
            yield from keys_of(child, (*path, i))
    if isinstance(node, dict):
        for key, child in node.items():
            yield (*path, key)
            if key not in FREE or key == "selector" and "matchLabels" in child:
                yield from keys_of(child, (*path, key))


def parent_of(thing, path):
    for key in path[:-1]:
        thing = thing[key]
    return thing


def find(objects, kind, name):
    return next((o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name), None)


def pods_of(objects):
    """Name → pod template, those of the MPIJob as the operator makes them."""
    pods = {o["metadata"]["name"]: o["spec"]["template"] for o in objects if o["kind"] == "Deployment"}
    job = find(objects, "MPIJob", "routewright")
    return {**pods, **dict(host_templates(job)), "launcher": launcher_template(job)}


def environment_of(objects):
    return find(objects, "ConfigMap", "routewright-run")["data"]


def config_of(objects):
    path = environment_of(objects)["ROUTEWRIGHT_CONFIG"]
    return yaml.safe_load(find(objects, "ConfigMap", "routewright-configs")["data"][path.removeprefix("configs/")])


def words_of(objects, container):
    return [expand(word, environment_of(objects)) for word in container["command"] + container.get("args", [])]


@needs_kubectl
class SchemaTest(unittest.TestCase):
    def test_every_object_is_valid_in_old_and_new_kubernetes(self):
        for overlay in OVERLAYS:
            for thing in OBJECTS[overlay] + CLAIM:
                for version in VERSIONS:
                    with self.subTest(overlay=overlay, kind=thing["kind"], version=version):
                        check(thing, version)

    def test_a_misspelt_key_anywhere_is_refused(self):
        count = 0
        for thing in OBJECTS["quickstart"] + [find(OBJECTS["h100"], "MPIJob", "routewright")] + CLAIM:
            for path in keys_of(thing):
                bad = copy.deepcopy(thing)
                parent = parent_of(bad, path)
                parent[path[-1] + "x"] = parent.pop(path[-1])
                self.assertTrue(is_refused(bad), f"{thing['kind']}: {path}")
                count += 1
        self.assertGreater(count, 300)

    def test_a_value_of_another_type_or_an_unknown_word_is_refused(self):
        job = find(OBJECTS["h100"], "MPIJob", "routewright")
        launcher, worker = (("spec", "mpiReplicaSpecs", name) for name in ("Launcher", "Worker"))
        for path, value in (
            (("spec", "slotsPerWorker"), "eight"), (("spec", "launcherCreationPolicy"), "WhenReady"),
            (("spec", "runPolicy", "cleanPodPolicy"), "Sometimes"), (("spec", "runPolicy", "backoffLimit"), -1),
            ((*launcher, "replicas"), 2), ((*launcher, "restartPolicy"), "Always"), ((*worker, "replicas"), 0),
            ((*worker, "template", "spec", "terminationGracePeriodSeconds"), "long"),
            ((*worker, "template", "spec", "containers", 0, "args"), "--port 1"),
            ((*worker, "template", "spec", "containers", 0, "image"), 7),
        ):
            bad = copy.deepcopy(job)
            parent_of(bad, path)[path[-1]] = value
            self.assertTrue(is_refused(bad), path)


@needs_kubectl
class ReferenceTest(unittest.TestCase):
    """What the objects say of one another, of the config and of the image."""

    def each_pod(self):
        for overlay in OVERLAYS:
            objects = OBJECTS[overlay]
            for name, template in pods_of(objects).items():
                with self.subTest(overlay=overlay, pod=name):
                    yield objects, name, template

    def test_mounts_name_volumes_and_volumes_what_is_there(self):
        claims = {o["metadata"]["name"] for o in CLAIM}
        for objects, _, template in self.each_pod():
            (container,) = template["spec"]["containers"]
            mounts = container["volumeMounts"]
            self.assertEqual({m["name"] for m in mounts}, {v["name"] for v in template["spec"]["volumes"]})
            self.assertEqual(len({m["mountPath"] for m in mounts}), len(mounts))
            for volume in template["spec"]["volumes"]:
                if "persistentVolumeClaim" in volume:
                    self.assertIn(volume["persistentVolumeClaim"]["claimName"], claims)
                if "configMap" in volume and volume["configMap"]["name"] != "routewright-config":  # the operator's
                    self.assertTrue(find(objects, "ConfigMap", volume["configMap"]["name"]))
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    self.assertTrue(find(objects, "ConfigMap", source["configMapRef"]["name"]))
                else:
                    self.assertTrue(source["secretRef"]["optional"])

    def test_pods_that_share_a_path_share_the_folder_of_the_claim(self):
        for overlay in OVERLAYS:
            files = [o for o in CLAIM if o["kind"] == "Pod"]
            seen = {}
            for template in [*pods_of(OBJECTS[overlay]).values(), *files]:
                for mount in template["spec"]["containers"][0]["volumeMounts"]:
                    if mount["name"] == "shared":
                        self.assertEqual(seen.setdefault(mount["mountPath"], mount["subPath"]), mount["subPath"])
            self.assertEqual(set(seen), {f"{IMAGE_ROOT}/{part}" for part in ("runs", "policies", "datasets")})

    def test_the_paths_of_the_config_are_mounted_or_in_the_image(self):
        for overlay in OVERLAYS:
            objects = OBJECTS[overlay]
            config, files = config_of(objects), find(objects, "ConfigMap", "routewright-configs")["data"]
            self.assertNotIn("output_dir", config["run"])  # runs, which is mounted
            paths = [config["policy"]["path"], *(d["path"] for part in ("train", "held_out") for d in config["data"][part])]
            for path in paths:
                self.assertTrue(path.startswith(("policies/", "datasets/")) or (ROOT / path).exists(), path)
            for path in (config["prompt"][key] for key in ("template_path", "pool_template_path") if key in config["prompt"]):
                self.assertIn(path.removeprefix("configs/"), files)

    def test_the_environment_has_what_the_pool_needs(self):
        for overlay in ("quickstart", "h100"):
            objects = OBJECTS[overlay]
            wanted = set(re.findall(r"\$\{(\w+)\}", str(config_of(objects)["pool"])))
            self.assertLessEqual(wanted, set(environment_of(objects)), overlay)
        name, port = re.fullmatch(r"http://([\w-]+):(\d+)", environment_of(OBJECTS["quickstart"])["ROUTEWRIGHT_POOL_URL"]).groups()
        service = find(OBJECTS["quickstart"], "Service", name)
        pool = pods_of(OBJECTS["quickstart"])["routewright-pool"]
        (entry,) = service["spec"]["ports"]
        self.assertEqual(entry["port"], int(port))
        (container_port,) = pool["spec"]["containers"][0]["ports"]
        self.assertEqual(container_port["name"], entry["targetPort"])
        args = pool["spec"]["containers"][0]["args"]
        self.assertEqual(args[args.index("--port") + 1], str(container_port["containerPort"]))

    def test_keys_reach_the_workers_alone(self):
        for _, name, template in self.each_pod():
            sources = template["spec"]["containers"][0].get("envFrom", [])
            self.assertEqual(any("secretRef" in source for source in sources), name == "routewright-workers")

    def test_services_choose_the_pods_that_they_are_named_after(self):
        for overlay in OVERLAYS:
            pods = pods_of(OBJECTS[overlay])
            for service in (o for o in OBJECTS[overlay] if o["kind"] == "Service"):
                chosen = [name for name, template in pods.items()
                          if service["spec"]["selector"].items() <= template["metadata"]["labels"].items()]
                self.assertEqual(chosen, [service["metadata"]["name"]])  # learner.address names rank 0's host

    def test_the_network_policy_and_the_deployments_select_their_pods(self):
        for objects, name, template in self.each_pod():
            labels = template["metadata"]["labels"].items()
            policy = find(objects, "NetworkPolicy", "routewright")["spec"]
            self.assertLessEqual(policy["podSelector"]["matchLabels"].items(), labels)
            self.assertEqual(policy["ingress"], [{"from": [{"podSelector": policy["podSelector"]}]}])
            deployment = find(objects, "Deployment", name)
            if deployment:
                self.assertLessEqual(deployment["spec"]["selector"]["matchLabels"].items(), labels)

    def test_pods_have_no_privileges_and_time_to_save(self):
        for objects, name, template in self.each_pod():
            pod, container = template["spec"], template["spec"]["containers"][0]["securityContext"]
            self.assertEqual((pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]), (1000, True))
            self.assertFalse(container["allowPrivilegeEscalation"] or pod["automountServiceAccountToken"])
            self.assertFalse(pod["enableServiceLinks"])  # their variables would begin with ROUTEWRIGHT_ too
            if name.startswith(("launcher", "routewright-worker-")):
                stop_wait = config_of(objects)["trainer"].get("checkpoint", {}).get("stop_wait_s", 30)
                self.assertGreater(pod["terminationGracePeriodSeconds"], 2 * stop_wait)
            for kind, amount in template["spec"]["containers"][0]["resources"]["requests"].items():
                self.assertTrue(amount and kind in ("cpu", "memory"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
