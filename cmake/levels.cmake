# Which instruction-set levels to build. The core is compiled once for each, and the best one that
# the processor runs is chosen at import.

set(EMCOMP_LEVELS "" CACHE STRING
  "Levels to build: 'native' (the best that this machine runs), 'all', or a list; empty takes the environment's EMCOMP_LEVELS, or 'native'")

# The best of some levels that this machine runs, by the check that is made at import.
function(emcomp_native_level all_levels result)
  if(NOT DEFINED emcomp_native_level)
    set(best baseline)
    if(NOT CMAKE_CROSSCOMPILING)
      set(program "${CMAKE_BINARY_DIR}/best_level${CMAKE_EXECUTABLE_SUFFIX}")
      try_compile(compiled "${CMAKE_BINARY_DIR}/best_level_check"
        SOURCES "${CMAKE_CURRENT_SOURCE_DIR}/cpp/isa/best_level.cpp"
                "${CMAKE_CURRENT_SOURCE_DIR}/cpp/isa/levels.cpp"
        CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${CMAKE_CURRENT_SOURCE_DIR}/cpp"
        COPY_FILE "${program}"
        CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
      if(compiled)
        execute_process(COMMAND "${program}" ${all_levels}
          OUTPUT_VARIABLE printed RESULT_VARIABLE failed)
        if(NOT failed AND printed IN_LIST all_levels)
          set(best "${printed}")
        endif()
      endif()
    endif()
    set(emcomp_native_level "${best}" CACHE INTERNAL "The best level that this machine runs")
  endif()
  set(${result} "${emcomp_native_level}" PARENT_SCOPE)
endfunction()

function(emcomp_choose_levels result)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(all_levels baseline v3 v4)
  else()
    set(all_levels baseline)
  endif()

  set(wanted "${EMCOMP_LEVELS}")
  if(wanted STREQUAL "")
    set(wanted "$ENV{EMCOMP_LEVELS}")
  endif()
  if(wanted STREQUAL "")
    set(wanted native)
  endif()
  string(REPLACE "," ";" wanted "${wanted}")

  if(wanted STREQUAL "all")
    set(wanted "${all_levels}")
  elseif(wanted STREQUAL "native")
    emcomp_native_level("${all_levels}" wanted)
  endif()

  foreach(level IN LISTS wanted)
    if(NOT level IN_LIST all_levels)
      message(FATAL_ERROR "EMCOMP_LEVELS names '${level}'; on this processor it is 'native', 'all', "
        "or some of: ${all_levels}")
    endif()
  endforeach()

  # Lowest first, whatever the order of the list.
  set(levels "")
  foreach(level IN LISTS all_levels)
    if(level IN_LIST wanted)
      list(APPEND levels ${level})
    endif()
  endforeach()
  message(STATUS "Instruction-set levels: ${levels}")
  set(${result} "${levels}" PARENT_SCOPE)
endfunction()
