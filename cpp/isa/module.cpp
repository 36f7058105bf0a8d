// The Python module emcomp._isa: which levels there are in this build, and what the processor lacks
// of each. It has to load anywhere, so it is compiled for the baseline.

#include <Python.h>

#include "isa/levels.hpp"

namespace {

PyObject* as_list(const std::vector<std::string>& names) {
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(names.size()));
  for (std::size_t i = 0; list != nullptr && i < names.size(); ++i) {
    PyObject* name = PyUnicode_FromString(names[i].c_str());
    if (name == nullptr) Py_CLEAR(list);
    if (list != nullptr) PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), name);
  }
  return list;
}

PyObject* built_levels(PyObject*, PyObject*) {
  return as_list(emcomp::isa::split_levels(EMCOMP_BUILT_LEVELS));
}

PyObject* available_levels(PyObject*, PyObject*) {
  return as_list(emcomp::isa::runnable_levels(emcomp::isa::split_levels(EMCOMP_BUILT_LEVELS)));
}

PyObject* missing_features(PyObject*, PyObject* level) {
  const char* name = PyUnicode_AsUTF8(level);
  return name == nullptr ? nullptr : as_list(emcomp::isa::missing_features(name));
}

PyMethodDef functions[] = {
    {"built_levels", built_levels, METH_NOARGS, "Levels in this build, lowest first."},
    {"available_levels", available_levels, METH_NOARGS,
     "Levels in this build that this processor runs, lowest first."},
    {"missing_features", missing_features, METH_O,
     "Features of a level that this processor lacks."},
    {},
};

int fill(PyObject* module) {
  if (PyModule_AddStringConstant(module, "version", EMCOMP_VERSION) < 0) return -1;
  return PyModule_AddStringConstant(module, "compiler", EMCOMP_COMPILER);
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(fill)},
#if defined(Py_mod_gil)
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_isa",
    .m_doc = "Instruction-set levels built, and those this processor runs.",
    .m_size = 0,
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = nullptr,
    .m_clear = nullptr,
    .m_free = nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__isa() { return PyModuleDef_Init(&definition); }
