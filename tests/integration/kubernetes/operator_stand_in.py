"""What the Kubeflow MPI Operator (v0.8) makes of an MPIJob: pod templates for its launcher and its hosts of ranks."""
import copy

from pods import NAMESPACE

SSH_ITEMS = ("id_rsa", "id_rsa.pub", "authorized_keys")


def _labels(job, role):
    return {"training.kubeflow.org/operator-name": "mpi-operator", "training.kubeflow.org/job-name": job,
            "training.kubeflow.org/job-role": role}


def _complete(spec, job, role, host, index=None):
    template = copy.deepcopy(spec["template"])
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels.update(_labels(job["metadata"]["name"], role))
    if index is not None:
        labels["training.kubeflow.org/replica-index"] = str(index)
    pod = template["spec"]
    pod.update(hostname=host, subdomain=job["metadata"]["name"], restartPolicy=spec["restartPolicy"])
    container = pod["containers"][0]
    container.setdefault("env", []).append({"name": "K_MPI_JOB_ROLE", "value": role})
    pod.setdefault("volumes", []).append({"name": "ssh-auth", "secret": {"secretName": f"{job['metadata']['name']}-ssh"}})
    container.setdefault("volumeMounts", []).append({"name": "ssh-auth", "mountPath": job["spec"]["sshAuthMountPath"]})
    return template


def host_templates(job):
    """(name, template) of each host of ranks."""
    name, spec = job["metadata"]["name"], job["spec"]["mpiReplicaSpecs"]["Worker"]
    hosts = [f"{name}-worker-{i}" for i in range(spec["replicas"])]
    return [(host, _complete(spec, job, "worker", host, i)) for i, host in enumerate(hosts)]


def launcher_template(job):
    name, slots = job["metadata"]["name"], job["spec"]["slotsPerWorker"]
    template = _complete(job["spec"]["mpiReplicaSpecs"]["Launcher"], job, "launcher", f"{name}-launcher")
    pod = template["spec"]
    container = pod["containers"][0]
    for variable, value in (("OMPI_MCA_orte_keep_fqdn_hostnames", "true"),
                            ("OMPI_MCA_orte_default_hostfile", "/etc/mpi/hostfile"),
                            ("OMPI_MCA_plm_rsh_args", "-o ConnectionAttempts=10"),
                            ("OMPI_MCA_orte_set_default_slots", str(slots)),
                            ("NVIDIA_VISIBLE_DEVICES", ""), ("NVIDIA_DRIVER_CAPABILITIES", "")):
        container["env"].append({"name": variable, "value": value})
    pod["volumes"].append({"name": "mpi-job-config", "configMap": {"name": f"{name}-config"}})
    container["volumeMounts"].append({"name": "mpi-job-config", "mountPath": "/etc/mpi"})
    return template


def config_map(job):
    """With the host file, in the order of the ranks."""
    name, slots = job["metadata"]["name"], job["spec"]["slotsPerWorker"]
    hosts = [host for host, _ in host_templates(job)]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-config"},
            "data": {"hostfile": "".join(f"{host}.{name}.{NAMESPACE}.svc slots={slots}\n" for host in hosts)}}
