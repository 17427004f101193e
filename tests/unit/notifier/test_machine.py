"""Names of machines."""

from pathlib import Path

from services.notifier.machine import machine_name


def test_machines_of_the_same_host_name_are_told_apart(tmp_path: Path) -> None:
    names = []
    for number in (1, 2):
        path = tmp_path / str(number)
        path.write_text(f"{number:032x}\n")
        names.append(machine_name("debian", path))
        assert machine_name("debian", path) == names[-1]
        assert f"{number:032x}" not in names[-1]
    assert len(set(names)) == 2
    assert all(name.startswith("debian-") for name in names)


def test_without_an_id_the_host_name_must_do(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert machine_name("4a1f00c3", tmp_path / "empty") == "4a1f00c3"
    assert machine_name("4a1f00c3", tmp_path / "absent") == "4a1f00c3"
